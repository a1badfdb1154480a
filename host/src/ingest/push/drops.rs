//! What the kernel dropped before it could be received.

use crate::core::Counter;
use crate::limits::{PUSH_DROPS_EVERY, PUSH_DROPS_QUIET_EVERY};
use std::future::pending;
use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU32, Ordering};
use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

/// Counts what the kernel dropped before it could be received. Where it does not tell, nothing is counted. What has been
/// `counted` stays with the socket: it may be handed on. As long as nothing is `received` it is looked for seldom: what is dropped
/// for want of room comes with what is not.
pub(crate) async fn count_drops<T>(
    socket: &UdpSocket,
    counter: &Counter,
    counted: &AtomicU32,
    received: &Notify,
) -> io::Result<T> {
    let Some(inode) = inode(socket) else { return pending().await };
    loop {
        let _ = timeout(PUSH_DROPS_QUIET_EVERY, received.notified()).await;
        sleep(PUSH_DROPS_EVERY).await;
        let Ok(Some(drops)) = spawn_blocking(move || drops(inode)).await else { continue };
        // The kernel's figure has 32 bits and begins anew.
        counter.add(u64::from(drops.wrapping_sub(counted.swap(drops, Ordering::Relaxed))));
    }
}

/// The number of a socket in the kernel's lists.
fn inode(socket: &impl AsRawFd) -> Option<u64> {
    let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).ok()?;
    link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// How many datagrams the kernel dropped for a socket since it was opened.
fn drops(inode: u64) -> Option<u32> {
    ["/proc/self/net/udp", "/proc/self/net/udp6"]
        .iter()
        .find_map(|list| listed_drops(&std::fs::read_to_string(list).ok()?, inode))
}

/// Reads the list of UDP sockets as udp4_format_sock of the kernel's net/ipv4/udp.c writes it: the inode is the tenth
/// column, the drops are the thirteenth.
fn listed_drops(list: &str, inode: u64) -> Option<u32> {
    list.lines().skip(1).find_map(|line| {
        let mut columns = line.split_ascii_whitespace().skip(9);
        let listed: u64 = columns.next()?.parse().ok()?;
        (listed == inode).then(|| columns.nth(2)?.parse().ok())?
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::UdpSocket;

    #[test]
    fn what_the_kernel_dropped_is_found() {
        let (to, from) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
        let inode = inode(&to).unwrap();
        assert_eq!(drops(inode), Some(0));
        // Nobody receives; 64 MiB are more than any socket's usual room.
        let address = to.local_addr().unwrap();
        let datagram = [0; 32 * 1024];
        for _ in 0..2_048 {
            from.send_to(&datagram, address).unwrap();
        }
        assert!(drops(inode).unwrap() > 0);
        assert_eq!(drops(u64::MAX), None);
    }

    #[test]
    fn a_list_that_is_cut_off_is_no_list() {
        let list = "  sl  local_address\n 7: 0100007F:21CB 00000000:0000 07 00000000:00000000 00:00000000 00000000 0 0 42 2 0 9\n";
        assert_eq!(listed_drops(list, 42), Some(9));
        assert_eq!(listed_drops(list, 4), None);
        for end in 0..list.len() - 2 {
            assert_eq!(listed_drops(&list[..end], 42), None, "{end}");
        }
    }
}
