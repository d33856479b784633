//! A Xet storage server on the loopback interface: the one that the Xet library brings for its own tests, filled through
//! the library's own upload. It checks no tokens.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tokio::runtime::Runtime;
use xet::xet_session::{Sha256Policy, XetConfig, XetSessionBuilder};
use xet_client::cas_client::simulation::{
    DirectAccessClient, LocalTestServer, LocalTestServerBuilder, NetworkProfileOptions,
};

/// Contents are cut into pieces of this size, in bytes, so that a small file comes in many. (Elsewhere they have 64 MiB.)
const PIECE: usize = 256 * 1024;

/// A running storage server. Dropping it stops it.
pub struct Cas {
    server: Option<LocalTestServer>,
    runtime: Option<Runtime>,
    endpoint: String,
    /// What is known of earlier uploads; see [`Cas::store_new_parts`].
    known: TempDir,
}

impl Cas {
    /// An empty server.
    pub fn start() -> Self {
        Self::with(LocalTestServerBuilder::new())
    }

    /// Another server with the same content.
    pub fn twin(&self) -> Self {
        Self::with(LocalTestServerBuilder::new().with_client(self.client()))
    }

    /// Another server with the same content that sends `bytes_per_second`.
    pub fn throttled(&self, bytes_per_second: u64) -> Self {
        let network = NetworkProfileOptions::new()
            .with_bandwidth_bytes_per_sec(bytes_per_second)
            .build();
        let builder = LocalTestServerBuilder::new().with_client(self.client());
        Self::with(builder.with_network_profile(network))
    }

    fn with(builder: LocalTestServerBuilder) -> Self {
        // The client requires a provider although nothing here is encrypted. An error means that there is one already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("cas")
            .enable_all()
            .build()
            .expect("runtime of the storage server");
        let server = runtime.block_on(builder.start());
        Self {
            endpoint: server.http_endpoint().to_owned(),
            known: TempDir::new().expect("temporary folder"),
            server: Some(server),
            runtime: Some(runtime),
        }
    }

    fn client(&self) -> Arc<dyn DirectAccessClient> {
        self.server.as_ref().expect("running").client().clone()
    }

    /// Base address.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Stores a content in many pieces; answers its name.
    pub fn store(&self, content: &[u8]) -> String {
        self.store_in(PIECE, content)
    }

    /// Stores a content in pieces of this size, in bytes; answers its name.
    pub fn store_in(&self, piece: usize, content: &[u8]) -> String {
        let folder = TempDir::new().expect("temporary folder");
        self.upload(piece, content, folder.path())
    }

    /// Stores of a content what contents that were stored in this way do not have; answers its name.
    pub fn store_new_parts(&self, content: &[u8]) -> String {
        self.store_new(4 << 20, content)
    }

    /// The same in pieces of this size, in bytes.
    pub fn store_new(&self, piece: usize, content: &[u8]) -> String {
        self.upload(piece, content, self.known.path())
    }

    fn upload(&self, piece: usize, content: &[u8], folder: &Path) -> String {
        let mut config = XetConfig::default();
        config.telemetry.enabled = false;
        config.xorb.simulation_max_bytes = Some((piece as u64).into());
        let upload = async {
            let session = XetSessionBuilder::new_with_config(config)
                .with_cache_dir(folder)
                .build()?;
            let commit = session
                .new_upload_commit()?
                .with_endpoint(self.endpoint())
                .build()
                .await?;
            commit
                .upload_bytes(content.to_vec(), Sha256Policy::Compute, None)
                .await?;
            commit.commit().await
        };
        let runtime = self.runtime.as_ref().expect("running");
        let report = runtime.block_on(upload).expect("upload");
        let mut uploads = report.uploads.into_values();
        uploads.next().expect("one file").xet_info.hash
    }

    /// Reports of transfers that clients sent.
    pub fn telemetry(&self) -> usize {
        let server = self.server.as_ref().expect("running");
        server.telemetry_docs().len()
    }
}

impl Drop for Cas {
    fn drop(&mut self) {
        self.server = None;
        if let Some(runtime) = self.runtime.take() {
            // Closes the listener and all connections before it returns.
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}
