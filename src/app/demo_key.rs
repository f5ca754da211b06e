//! The key of a demo: made on the first start and kept in a file, so that the service can show a request that
//! works. Only where `auth.demo_key` asks for it, which a listener beyond loopback refuses.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::http::generate_key;
use crate::staging::{Staging, StagingError};

/// Why there is no demo key.
#[derive(Debug, thiserror::Error)]
pub enum DemoKeyError {
    /// The file.
    #[error("the demo key cannot be kept in {path}: {reason}")]
    File {
        /// Its path.
        path: String,
        /// Why not.
        reason: String,
    },
    /// The staging database.
    #[error(transparent)]
    Staging(#[from] StagingError),
}

/// The key in the file while it is valid; else a new one, which may read and write everything.
pub(super) async fn demo_key(path: &Path, staging: &dyn Staging) -> Result<String, DemoKeyError> {
    if let Ok(kept) = fs::read_to_string(path) {
        let kept = kept.trim().to_owned();
        let hash: [u8; 32] = Sha256::digest(kept.as_bytes()).into();
        if staging.api_key(&hash).await?.is_some() {
            return Ok(kept);
        }
    }
    let fault = |reason: String| DemoKeyError::File { path: path.display().to_string(), reason };
    let (key, stored) =
        generate_key("demo", &["read".to_owned(), "write".to_owned()]).map_err(|error| fault(error.to_string()))?;
    if let Some(folder) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|error| fault(error.to_string()))?;
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(0o600);
    let written = options.open(path).and_then(|mut file| file.write_all(format!("{key}\n").as_bytes()));
    written.map_err(|error| fault(error.to_string()))?;
    staging.add_api_key(stored).await?;
    Ok(key)
}
