//! For which names a certificate is (X.509, RFC 5280, 4.2.1.6), as far as DER has to be read for that.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;
const OCTET_STRING: u8 = 0x04;
/// `[3]` of a certificate's body: its extensions.
const EXTENSIONS: u8 = 0xa3;
/// 2.5.29.17
const SUBJECT_ALT_NAME: &[u8] = &[0x55, 0x1d, 0x11];
const DNS_NAME: u8 = 0x82;
const IP_ADDRESS: u8 = 0x87;

/// What follows in `der`, out of which it is taken: a tag and what belongs to it.
fn next<'d>(der: &mut &'d [u8]) -> Option<(u8, &'d [u8])> {
    let (&tag, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        // More than four bytes of length no certificate has.
        0x81..=0x84 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(length & 0x7f))?;
            (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    *der = rest;
    Some((tag, content))
}

/// The first that has a tag.
fn find(mut der: &[u8], wanted: u8) -> Option<&[u8]> {
    while let Some((tag, content)) = next(&mut der) {
        if tag == wanted {
            return Some(content);
        }
    }
    None
}

/// The names and addresses of a certificate in DER, in their order; none where it cannot be read.
pub(super) fn names(der: &[u8]) -> Option<Vec<String>> {
    let body = find(find(der, SEQUENCE)?, SEQUENCE)?;
    let mut extensions = find(find(body, EXTENSIONS)?, SEQUENCE)?;
    while let Some((SEQUENCE, extension)) = next(&mut extensions) {
        if find(extension, OBJECT_IDENTIFIER)? != SUBJECT_ALT_NAME {
            continue;
        }
        let mut listed = find(find(extension, OCTET_STRING)?, SEQUENCE)?;
        let mut names = Vec::new();
        while let Some((tag, name)) = next(&mut listed) {
            match tag {
                DNS_NAME => names.push(str::from_utf8(name).ok()?.to_owned()),
                IP_ADDRESS => names.push(address(name)?.to_string()),
                _ => {}
            }
        }
        return Some(names);
    }
    None
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    let four = <[u8; 4]>::try_from(bytes).map(|four| Ipv4Addr::from(four).into());
    four.or_else(|_| <[u8; 16]>::try_from(bytes).map(|many| Ipv6Addr::from(many).into())).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn certificate(of: &[&str]) -> Vec<u8> {
        let of: Vec<String> = of.iter().map(|name| (*name).to_owned()).collect();
        rcgen::generate_simple_self_signed(of).unwrap().cert.der().to_vec()
    }

    #[test]
    fn what_a_certificate_is_for_is_read_out_of_it() {
        let want = ["metrics.example", "*.b.example", "192.0.2.7", "::1"];
        assert_eq!(names(&certificate(&want)).unwrap(), want);
        let many: Vec<String> = (0..300).map(|n| format!("host-{n}.example")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(names(&certificate(&many)).unwrap(), many);
    }

    #[test]
    fn what_is_cut_off_or_damaged_is_none_or_another() {
        let whole = certificate(&["metrics.example", "192.0.2.7"]);
        for end in 0..whole.len() {
            assert_eq!(names(&whole[..end]), None, "{end}");
        }
        for at in 0..whole.len() {
            for byte in [0, 0x30, 0x7f, 0x80, 0x84, 0xff] {
                let mut damaged = whole.clone();
                damaged[at] = byte;
                let _ = names(&damaged);
            }
        }
    }
}
