//! `[tls]` of `graftd.conf`: the certificate that the daemon shows.

use super::error::ConfError;
use super::file::beside;
use super::table::Table;
use std::path::{Path, PathBuf};

/// Where a certificate lies and what belongs to it, in PEM.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and behind it those between it and its authority.
    pub cert: PathBuf,
    /// Its key.
    pub key: PathBuf,
    /// Certificates of authorities by which a client's has to be; clients need none unless it is given.
    pub client_ca: Option<PathBuf>,
}

impl TlsFiles {
    /// All of them, with the keys that name them.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &Path)> {
        let client_ca = self.client_ca.as_deref().map(|ca| ("client_ca", ca));
        [("cert", &*self.cert), ("key", &*self.key)].into_iter().chain(client_ca)
    }

    /// Reads the table of `file`; `None` when there is none, or nothing in it.
    pub(super) fn read(table: &mut Table<'_>, file: &Path) -> Result<Option<TlsFiles>, ConfError> {
        let mut tls = table.table("tls")?;
        let (cert, key, client_ca) = (tls.take("cert"), tls.take("key"), tls.take("client_ca"));
        tls.finish(&["cert", "key", "client_ca"])?;
        match (cert, key) {
            (Some(cert), Some(key)) => Ok(Some(TlsFiles {
                cert: beside(file, &cert.text()?),
                key: beside(file, &key.text()?),
                client_ca: client_ca.map(|ca| ca.text()).transpose()?.map(|ca| beside(file, &ca)),
            })),
            (None, None) if client_ca.is_none() => Ok(None),
            (cert, key) => {
                let lacks = if cert.is_none() { "cert" } else { "key" };
                let given = cert.or(key).or(client_ca);
                let why = format!("[tls] needs {lacks:?} too; `graftd tls self-signed --out DIR` makes both");
                Err(given.map_or_else(|| ConfError::whole(why.clone()), |given| given.error(&why)))
            }
        }
    }
}
