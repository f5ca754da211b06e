//! What is installed beside the program: the unit is clean and well locked down, and `make install` puts
//! everything in its place.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_tollbridge");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("{program} cannot be run ({error}): `scripts/setup test` installs it"))
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn unit() -> String {
    std::fs::read_to_string(root().join("systemd/tollbridge.service")).unwrap()
}

/// The values of a key of the unit, in order.
fn settings<'a>(unit: &'a str, key: &str) -> Vec<&'a str> {
    unit.lines().filter_map(|line| line.strip_prefix(key)?.strip_prefix('=')).collect()
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tollbridge.service");
    // systemd checks that the program is there.
    std::fs::write(&path, unit().replace("/usr/local/bin/tollbridge", PROGRAM)).unwrap();
    let verified = run("systemd-analyze", &["verify", "--man=no", &path.display().to_string()]);
    assert!(verified.status.success(), "{}", said(&verified));
    assert!(!said(&verified).contains("tollbridge"), "{}", said(&verified));
}

/// 0 is the least exposed, 10 the most; a service without any hardening has 9.6.
#[test]
fn the_unit_is_exposed_as_little_as_it_can_be() {
    let rated = run("systemd-analyze", &["security", "--offline=true", "--threshold=15", "systemd/tollbridge.service"]);
    assert!(rated.status.success(), "exposure above 1.5:\n{}", said(&rated));
    assert!(said(&rated).contains("Overall exposure level for tollbridge.service"), "{}", said(&rated));
}

#[test]
fn the_unit_starts_what_the_program_has() {
    let unit = unit();
    assert_eq!(settings(&unit, "Type"), ["notify"]);
    assert_eq!(settings(&unit, "WatchdogSec").len(), 1);
    assert_eq!(settings(&unit, "ExecReload"), ["/bin/kill -HUP $MAINPID"]);
    let start = "/usr/local/bin/tollbridge --config /etc/tollbridge/tollbridge.toml";
    assert_eq!(settings(&unit, "ExecStartPre"), [format!("{start} check --offline")]);
    assert_eq!(settings(&unit, "ExecStart"), [format!("{start} serve")]);
}

#[test]
fn sysusers_accepts_the_user() {
    let folder = tempfile::tempdir().unwrap();
    let path = root().join("systemd/tollbridge.sysusers").display().to_string();
    let tree = format!("--root={}", folder.path().display());
    let made = run("systemd-sysusers", &["--dry-run", &tree, &path]);
    assert!(made.status.success(), "{}", said(&made));
    assert!(said(&made).contains("tollbridge"), "{}", said(&made));
}

#[test]
fn make_install_puts_everything_in_its_place() {
    let folder = tempfile::tempdir().unwrap();
    let built = folder.path().join("built/release");
    std::fs::create_dir_all(&built).unwrap();
    std::os::unix::fs::symlink(PROGRAM, built.join("tollbridge")).unwrap();
    let destination = folder.path().join("tree");
    let install = || {
        let built = format!("TARGET={}", folder.path().join("built").display());
        let tree = format!("DESTDIR={}", destination.display());
        let output = run("make", &["install", &built, &tree, "PREFIX=/opt/bridge"]);
        assert!(output.status.success(), "{}", said(&output));
    };
    install();

    let in_tree = |path: &str| destination.join(path);
    let program = in_tree("opt/bridge/bin/tollbridge");
    assert_eq!(std::fs::metadata(&program).unwrap().len(), std::fs::metadata(PROGRAM).unwrap().len());
    let unit = std::fs::read_to_string(in_tree("opt/bridge/lib/systemd/system/tollbridge.service")).unwrap();
    assert!(settings(&unit, "ExecStart")[0].starts_with("/opt/bridge/bin/tollbridge "), "{unit}");
    assert!(!unit.contains("/usr/local"), "{unit}");
    assert!(in_tree("opt/bridge/lib/sysusers.d/tollbridge.conf").is_file());
    assert!(in_tree("etc/tollbridge/mappings").is_dir());

    // What the operator wrote is kept when a newer version is installed.
    let config = in_tree("etc/tollbridge/tollbridge.toml");
    assert_eq!(std::fs::read(&config).unwrap(), std::fs::read(root().join("systemd/tollbridge.toml")).unwrap());
    std::fs::write(&config, "# mine\n").unwrap();
    install();
    assert_eq!(std::fs::read_to_string(&config).unwrap(), "# mine\n");
}

/// Paths in the default configuration must be where the unit lets the service write.
#[test]
fn the_default_configuration_writes_where_the_unit_allows() {
    let config = std::fs::read_to_string(root().join("systemd/tollbridge.toml")).unwrap();
    let config: toml::Table = config.parse().unwrap();
    let text = |section: &str, key: &str| config[section][key].as_str().unwrap().to_owned();
    let state = Path::new("/var/lib/tollbridge");
    assert_eq!(settings(&unit(), "StateDirectory"), ["tollbridge tollbridge/inbox"]);
    assert!(Path::new(text("staging", "url").strip_prefix("sqlite:").unwrap()).starts_with(state));
    assert!(Path::new(&text("landing", "path")).starts_with(state));
    assert_eq!(Path::new(config["backends"]["erp"]["files"]["inbox"].as_str().unwrap()), state.join("inbox"));
}
