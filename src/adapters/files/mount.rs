//! Whether a folder lies on another machine.

use std::path::Path;

/// File systems of other machines (statfs(2), `f_type`): their clocks are not ours, and they do not tell of
/// what others do to them.
const REMOTE: &[u32] = &[
    0x0000_6969, // NFS
    0x0000_517b, // SMB
    0xff53_4d42, // CIFS
    0xfe53_4d42, // SMB2
    0x6573_5546, // FUSE (sshfs, davfs and the like)
    0x0102_1997, // 9P
    0x0000_564c, // NCP
    0x5346_414f, // AFS
    0x6b41_4653, // kAFS
    0x7375_7245, // Coda
    0x00c3_6400, // Ceph
    0x0bd0_0bd0, // Lustre
    0x4750_4653, // GPFS
    0x786f_4256, // VirtualBox shared folders
    0xbacb_acbc, // VMware shared folders
];

/// Whether files in it are written by another machine, as far as the system knows.
pub(super) fn is_remote(folder: &Path) -> bool {
    rustix::fs::statfs(folder).is_ok_and(|found| is_remote_type(found.f_type as u32))
}

fn is_remote_type(kind: u32) -> bool {
    REMOTE.contains(&kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_not_another() {
        let folder = tempfile::tempdir().unwrap();
        assert!(!is_remote(folder.path()));
        assert!(!is_remote(Path::new("/dev/shm")));
        assert!(!is_remote(Path::new("/no/such/folder")));
        assert!(is_remote_type(0x6969) && is_remote_type(0xff53_4d42));
    }
}
