//! A bucket behind a network that a drill can break.

use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::http_proxy::HttpProxy;
use crate::s3_server::S3Server;
use crate::site::{Site, files};

/// The bucket's name.
const NAME: &str = "quotad-snapshots";

/// The folder in the bucket under which all snapshots lie.
const PREFIX: &str = "drills/one";

/// A store that speaks S3, the network to it, and a folder for data directories.
pub struct Bucket {
    // Ended in this order.
    pub network: HttpProxy,
    server: S3Server,
    folder: TempDir,
}

impl Bucket {
    pub fn start() -> Self {
        let server = S3Server::start(NAME);
        let folder = TempDir::new().expect("a folder can be made");
        Self { network: HttpProxy::start(server.port()), server, folder }
    }

    /// A data directory of this name whose snapshots go over the network.
    pub fn site(&self, name: &str, flags: &[&str]) -> Site {
        self.site_at(self.network.port(), name, flags)
    }

    /// The same as tools see it that nothing hinders.
    pub fn direct(&self, name: &str, flags: &[&str]) -> Site {
        self.site_at(self.server.port(), name, flags)
    }

    fn site_at(&self, port: u16, name: &str, flags: &[&str]) -> Site {
        let (place, endpoint) = (format!("s3://{NAME}/{PREFIX}"), format!("http://127.0.0.1:{port}"));
        let store = ["--snapshots", &place, "--snapshot-endpoint", &endpoint];
        Site::new(self.folder.path().join(name), &[&store, flags].concat())
    }

    /// All objects below a folder whose names end so, as files.
    pub fn objects(&self, folder: &str, end: &str) -> Vec<PathBuf> {
        let folder = self.server.folder().join(NAME).join(PREFIX).join(folder);
        if folder.exists() { files(&folder, end) } else { Vec::new() }
    }

    /// The parts that belong to no snapshot.
    pub fn loose_parts(&self, tools: &Site) -> Vec<PathBuf> {
        let ids = tools.ids();
        let is_known = |part: &Path| ids.iter().any(|id| part.to_string_lossy().contains(&format!("/{id}/")));
        self.objects("parts", ".part").into_iter().filter(|part| !is_known(part)).collect()
    }
}
