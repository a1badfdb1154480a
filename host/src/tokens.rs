//! The secrets that let somebody in: one that may do everything, one that may only read, one that may only push and switch.

use subtle::{Choice, ConstantTimeEq};

/// What somebody wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Look at the tree, its history and the modules.
    Read,
    /// Push, and switch modules.
    Write,
}

/// What whoever says a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rights {
    read: bool,
    write: bool,
}

impl Rights {
    /// Whether that may be done.
    #[must_use]
    pub fn allow(self, access: Access) -> bool {
        match access {
            Access::Read => self.read,
            Access::Write => self.write,
        }
    }
}

/// The tokens of this daemon.
#[derive(Clone, Default)]
pub struct Tokens {
    /// It may do everything.
    pub(crate) all: Option<String>,
    pub(crate) read: Option<String>,
    pub(crate) write: Option<String>,
}

impl Tokens {
    /// One, which may do everything; or none, and everybody may.
    #[must_use]
    pub fn one(token: Option<&str>) -> Tokens {
        Tokens { all: token.map(str::to_owned), read: None, write: None }
    }

    /// Whether a token is asked for, to do that.
    #[must_use]
    pub fn ask_for(&self, access: Access) -> bool {
        let own = match access {
            Access::Read => &self.read,
            Access::Write => &self.write,
        };
        self.all.is_some() || own.is_some()
    }

    /// What a token allows; none where it is none of these. All are compared, whichever it is: how long that takes tells
    /// nothing but lengths.
    #[must_use]
    pub fn rights(&self, said: &[u8]) -> Option<Rights> {
        let is = |token: &Option<String>| token.as_deref().map_or(Choice::from(0), |token| ct_same(token, said));
        let (all, read, write) = (is(&self.all), is(&self.read), is(&self.write));
        let rights = Rights { read: (all | read).into(), write: (all | write).into() };
        (rights.read || rights.write).then_some(rights)
    }
}

/// What it says stays out of logs.
impl std::fmt::Debug for Tokens {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let set = |token: &Option<String>| token.is_some();
        write!(f, "Tokens {{ all: {}, read: {}, write: {} }}", set(&self.all), set(&self.read), set(&self.write))
    }
}

fn ct_same(token: &str, said: &[u8]) -> Choice {
    token.as_bytes().ct_eq(said)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_token_has_its_rights() {
        let text = |text: &str| Some(text.to_owned());
        let tokens = Tokens { all: text("all"), read: text("reads"), write: text("writes") };
        for (said, read, write) in [("all", true, true), ("reads", true, false), ("writes", false, true)] {
            assert_eq!(tokens.rights(said.as_bytes()), Some(Rights { read, write }), "{said}");
        }
        for said in ["", "al", "alL", "allx", "read", "readss"] {
            assert_eq!(tokens.rights(said.as_bytes()), None, "{said}");
        }
        assert!(!format!("{tokens:?}").contains("reads"), "{tokens:?}");
    }

    #[test]
    fn what_no_token_is_for_is_open() {
        let asked = |tokens: &Tokens| (tokens.ask_for(Access::Read), tokens.ask_for(Access::Write));
        assert_eq!(asked(&Tokens::default()), (false, false));
        assert_eq!(Tokens::default().rights(b""), None);
        assert_eq!(asked(&Tokens::one(Some("x"))), (true, true));
        assert_eq!(asked(&Tokens { write: Some("x".to_owned()), ..Tokens::default() }), (false, true));
    }
}
