//! The installation's own secret: 32 random bytes beside the staging database, made on the first start. It
//! seals what callers hand back to us (cursors), so that it must outlive a restart.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Reads the secret beside `database`, or makes it.
pub(super) fn secret(database: &Path) -> io::Result<[u8; 32]> {
    let path = database.with_extension("secret");
    let mut secret = [0u8; 32];
    match File::open(&path) {
        Ok(mut file) => file.read_exact(&mut secret).map(|()| secret),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            getrandom::fill(&mut secret)?;
            write(&path, &secret)?;
            Ok(secret)
        }
        Err(error) => Err(error),
    }
}

/// Whole or not at all: a half-written secret would be read as one.
fn write(path: &Path, secret: &[u8; 32]) -> io::Result<()> {
    let fresh = path.with_extension("secret.new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(secret)?;
    file.sync_all()?;
    fs::rename(&fresh, path)
}

#[cfg(test)]
mod tests {
    use super::secret;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn is_made_once_and_for_the_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("staging.db");
        let made = secret(&database).unwrap();
        assert_eq!(secret(&database).unwrap(), made);
        assert_ne!(made, [0; 32]);
        let mode = std::fs::metadata(folder.path().join("staging.secret")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        std::fs::write(folder.path().join("staging.secret"), b"short").unwrap();
        assert!(secret(&database).is_err());
    }
}
