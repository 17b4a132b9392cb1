//! Snapshots on disk: written whole, read with care, and a start from them while the registry is down.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use evener_discovery::Endpoint;
use evener_discovery::pipeline::{Cause, Freshness, PipelineOptions, State};
use evener_discovery::snapshot::{
    Restored, SaveSchedule, SnapshotErrorKind, SnapshotFile, Store, decode, encode,
};
use proptest::prelude::*;

use crate::world::{World, endpoint, ms, seconds};

const TARGET: &str = "etcd://registry:2379/services/user";

/// A directory that is gone with its test.
struct Directory(PathBuf);

impl Directory {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("evener-snapshots-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn store(&self) -> Store {
        Store::new(self.0.join("state/evener"))
    }

    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.0.join("state/evener")).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn time(seconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(seconds)
}

fn file(target: &str, endpoints: &[&str]) -> SnapshotFile {
    SnapshotFile {
        target: target.to_owned(),
        as_of: time(1_000_000),
        revision: Some("42".to_owned()),
        service_config: Some("{\"loadBalancingConfig\":[]}".to_owned()),
        endpoints: endpoints.iter().map(|text| endpoint(text)).collect(),
    }
}

fn corrupt(path: &Path, content: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, content).unwrap();
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn what_is_saved_is_loaded_with_its_age() {
    let directory = Directory::new();
    let store = directory.store();
    assert_eq!(store.load(TARGET, DAY, time(1_000_000)), Ok(None));
    let saved =
        file(TARGET, &["1;weight=3;zone=a;meta.version=2", "[::1]:80|unix:/run/x;condition=draining"]);
    assert_eq!(store.save(&saved), Ok(true));
    let loaded = store.load(TARGET, DAY, time(1_000_060)).unwrap().unwrap();
    let SnapshotFile { endpoints, service_config, revision, .. } = saved;
    assert_eq!(loaded, Restored { endpoints, service_config, revision, age: seconds(60) });
    assert_eq!(store.load("etcd://registry:2379/services/other", DAY, time(1_000_060)), Ok(None));
}

#[test]
fn a_file_is_replaced_as_a_whole_and_nothing_else_is_left() {
    let directory = Directory::new();
    let store = directory.store();
    for n in 1..=20_u32 {
        store.save(&file(TARGET, &[&n.to_string()])).unwrap();
    }
    let names = directory.files();
    assert_eq!(names.len(), 1, "{names:?}");
    let loaded = store.load(TARGET, DAY, time(1_000_000)).unwrap().unwrap();
    assert_eq!(loaded.endpoints, [endpoint("20")]);
}

#[test]
fn several_threads_that_save_at_once_leave_one_whole_file() {
    let directory = Directory::new();
    let store = directory.store();
    let many: Vec<String> = (0..200_u32).map(|n| n.to_string()).collect();
    std::thread::scope(|scope| {
        for thread in 0..4_usize {
            let (store, many) = (&store, &many);
            scope.spawn(move || {
                for round in 0..10 {
                    let texts: Vec<&str> =
                        many.iter().skip(thread * 10 + round).map(String::as_str).collect();
                    store.save(&file(TARGET, &texts)).unwrap();
                    assert!(store.load(TARGET, DAY, time(1_000_000)).unwrap().is_some());
                }
            });
        }
    });
    assert_eq!(directory.files().len(), 1);
}

#[test]
fn nothing_is_never_saved_over_something() {
    let directory = Directory::new();
    let store = directory.store();
    assert_eq!(store.save(&file(TARGET, &[])), Ok(false));
    store.save(&file(TARGET, &["1"])).unwrap();
    assert_eq!(store.save(&file(TARGET, &[])), Ok(false));
    // Nor is what could not be read back.
    let unspeakable = Endpoint::new(Vec::new());
    assert_eq!(
        store.save(&SnapshotFile { endpoints: vec![unspeakable.clone()], ..file(TARGET, &[]) }),
        Ok(false)
    );
    let loaded = store.load(TARGET, DAY, time(1_000_000)).unwrap().unwrap();
    assert_eq!(loaded.endpoints, [endpoint("1")]);
    store.save(&SnapshotFile { endpoints: vec![endpoint("2"), unspeakable], ..file(TARGET, &[]) }).unwrap();
    assert_eq!(store.load(TARGET, DAY, time(1_000_000)).unwrap().unwrap().endpoints, [endpoint("2")]);
}

#[test]
fn no_secret_is_on_disk_nor_in_the_files_name() {
    let directory = Directory::new();
    let store = directory.store();
    let target = "consul://me:hush@agent:8500/user?token=hush&dc=a";
    let endpoints = [
        "1;meta.api_token=hush;meta.dbPassword=hush;meta.api_key=hush;meta.Authorization=hush;meta.version=2",
    ];
    store.save(&file(target, &endpoints)).unwrap();
    let path = store.path_of(target);
    let content = fs::read_to_string(&path).unwrap();
    assert!(!content.contains("hush"), "{content}");
    assert!(content.contains("***@agent") && content.contains("meta.version=2"), "{content}");
    assert_eq!(
        path,
        store.path_of("consul://other:secret@agent:8500/user?token=else&dc=a"),
        "secrets are rotated"
    );
    assert_ne!(path, store.path_of("consul://me:hush@agent:8500/user?token=hush&dc=b"));
    let name = path.file_stem().unwrap().to_str().unwrap();
    assert!(name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}");
    assert!(store.load(target, DAY, time(1_000_000)).unwrap().is_some());
}

#[cfg(unix)]
#[test]
fn only_its_owner_may_read_it_and_nobody_else_may_have_written_it() {
    use std::os::unix::fs::{PermissionsExt, chown};

    let directory = Directory::new();
    let store = directory.store();
    store.save(&file(TARGET, &["1"])).unwrap();
    let path = store.path_of(TARGET);
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));

    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let error = store.load(TARGET, DAY, time(1_000_000)).unwrap_err();
    assert_eq!(error.kind, SnapshotErrorKind::Insecure);
    assert!(error.to_string().contains("anybody may write"), "{error}");
    store.save(&file(TARGET, &["1"])).unwrap();
    assert_eq!(mode(&path), 0o600);

    // Only root may give a file away.
    if chown(&path, Some(65_534), None).is_ok() {
        let error = store.load(TARGET, DAY, time(1_000_000)).unwrap_err();
        assert_eq!(error.kind, SnapshotErrorKind::Insecure, "somebody else's");
    }
}

#[test]
fn what_is_too_old_or_from_the_future_is_not_used() {
    let directory = Directory::new();
    let store = directory.store();
    store.save(&file(TARGET, &["1"])).unwrap();
    let loaded = |now| store.load(TARGET, seconds(3600), time(now));
    assert_eq!(loaded(1_003_600).unwrap().unwrap().age, seconds(3600));
    let error = loaded(1_003_601).unwrap_err();
    assert_eq!(error.kind, SnapshotErrorKind::Expired(seconds(3601)));
    assert!(error.to_string().ends_with("is not used: it is 3601 s old, and may be 3600 s"), "{error}");
    let however_old = store.load(TARGET, Duration::ZERO, time(90_000_000)).unwrap().unwrap();
    assert_eq!(however_old.age, seconds(89_000_000));
    assert_eq!(loaded(999_000).unwrap().unwrap().age, ms(0), "clocks differ a little");
    let error = loaded(900_000).unwrap_err();
    assert_eq!(error.kind, SnapshotErrorKind::Corrupt);
    assert!(error.to_string().contains("in the future"), "{error}");
}

#[test]
fn what_cannot_be_understood_is_told_and_kept_out_of_the_way() {
    let whole = encode(&file(TARGET, &["1"]));
    let with =
        |from: &str, to: &str| String::from_utf8(whole.clone()).unwrap().replace(from, to).into_bytes();
    for (content, expected) in [
        (Vec::new(), "not valid JSON"),
        (whole[..whole.len() / 2].to_vec(), "not valid JSON"),
        (b"\xff\xfe".to_vec(), "not UTF-8"),
        (b"[]".to_vec(), "the document must be an object"),
        (with("\"version\":1", "\"version\":2"), "version: is 2; this build reads 1"),
        (with("\"version\":1", "\"version\":\"x\""), "version: must be a whole number"),
        (with("10.0.0.1:80", "10.0.0.1"), "endpoints[0]: port: `10.0.0.1` has none"),
        (with("[\"10.0.0.1:80\"]", "[]"), "endpoints: is empty; a snapshot is never of nothing"),
        (with("\"as_of\":1000000", "\"as_of\":-1"), "as_of: is before 1970"),
        (with("\"as_of\":1000000", "\"as_off\":1000000"), "as_of: is missing"),
        (with("services/user", "services/other"), "it is of another target"),
    ] {
        let directory = Directory::new();
        let store = directory.store();
        let path = store.path_of(TARGET);
        corrupt(&path, &content);
        let error = store.load(TARGET, DAY, time(1_000_000)).unwrap_err();
        assert_eq!(error.kind, SnapshotErrorKind::Corrupt);
        assert!(error.to_string().contains(expected), "{error}");
        let bad = path.with_extension("json.bad");
        assert!(error.to_string().contains(bad.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(&bad).unwrap(), content, "it can be looked at");
        assert_eq!(store.load(TARGET, DAY, time(1_000_000)), Ok(None), "it is told once");
        store.save(&file(TARGET, &["1"])).unwrap();
        assert!(store.load(TARGET, DAY, time(1_000_000)).unwrap().is_some());
    }
}

#[test]
fn a_disk_that_refuses_is_an_error_and_what_was_there_stays() {
    let directory = Directory::new();
    let in_the_way = directory.0.join("file");
    fs::write(&in_the_way, b"x").unwrap();
    let error = Store::new(in_the_way.join("below")).save(&file(TARGET, &["1"])).unwrap_err();
    assert_eq!(error.kind, SnapshotErrorKind::Io);
    assert_eq!(error.path, in_the_way.join("below"));

    let store = directory.store();
    let path = store.path_of(TARGET);
    fs::create_dir_all(&path).unwrap();
    let error = store.load(TARGET, DAY, time(1_000_000)).unwrap_err();
    assert_eq!(error.kind, SnapshotErrorKind::Io, "a directory is no file: {error}");
    assert!(store.save(&file(TARGET, &["1"])).is_err());
    assert_eq!(directory.files().len(), 1, "no temporary file is left");
}

#[test]
fn what_a_process_that_died_left_is_swept_away() {
    let directory = Directory::new();
    let store = directory.store();
    store.save(&file(TARGET, &["1"])).unwrap();
    let path = store.path_of(TARGET);
    let stem = path.file_stem().unwrap().to_str().unwrap();
    let left = path.with_file_name(format!(".{stem}.0123456789abcdef.tmp"));
    fs::write(&left, b"{").unwrap();
    let now = fs::metadata(&left).unwrap().modified().unwrap();
    store.load(TARGET, Duration::MAX, now + seconds(60)).unwrap();
    assert!(left.exists(), "somebody may be writing it");
    store.load(TARGET, Duration::MAX, now + seconds(3600)).unwrap();
    assert!(!left.exists());
    assert!(path.exists());
}

/// A cold start with the registry down.
#[test]
fn a_client_that_starts_while_the_registry_is_down_uses_what_another_one_saved() {
    let directory = Directory::new();
    let store = directory.store();

    let mut before = World::new(PipelineOptions::default());
    before.reset(&["1", "2;weight=3", "3"]);
    before.until(seconds(10));
    let status = before.status();
    assert!(SaveSchedule::default().is_due(&status, before.now()));
    let snapshot = before.last();
    store
        .save(&SnapshotFile {
            target: TARGET.to_owned(),
            as_of: time(1_000_000) - status.age.unwrap(),
            revision: status.revision,
            service_config: snapshot.service_config.as_deref().map(str::to_owned),
            endpoints: snapshot.endpoints.to_vec(),
        })
        .unwrap();

    let Restored { endpoints, service_config, age, .. } =
        store.load(TARGET, DAY, time(1_000_590)).unwrap().unwrap();
    let mut after = World::new(PipelineOptions::default());
    after.pipeline.restore(endpoints, service_config, age, after.now());
    after.poll();
    after.fail();
    assert_eq!((after.last().state, after.set()), (State::Known, before.set()));
    let status = after.status();
    assert!(matches!(status.freshness, Freshness::Stale { cause: Cause::Snapshot, .. }), "{status:?}");
    assert_eq!(status.age, Some(seconds(600)));
    let nothing_new = SaveSchedule::default();
    assert!(!nothing_new.is_due(&status, after.now()), "it would only grow younger");

    let mut without = World::new(PipelineOptions::default());
    without.fail();
    without.until(seconds(100));
    assert_eq!((without.publications(), without.status().state), (0, State::Unknown));
}

#[test]
fn a_snapshot_is_saved_after_changes_and_kept_young() {
    let mut world = World::new(PipelineOptions::default());
    let mut schedule = SaveSchedule::default();
    assert_eq!(schedule.next(&world.status(), world.now()), None, "nothing is known");
    world.reset(&["1"]);
    assert!(schedule.is_due(&world.status(), world.now()));
    schedule.saved(&world.status(), world.now());
    assert!(!schedule.is_due(&world.status(), world.now()));
    assert_eq!(schedule.next(&world.status(), world.now()), Some(world.now() + seconds(300)));

    world.until(seconds(1));
    world.reset(&["1", "2"]);
    assert!(!schedule.is_due(&world.status(), world.now()), "so soon after the last");
    world.until(seconds(2));
    assert!(schedule.is_due(&world.status(), world.now()));
    schedule.saved(&world.status(), world.now());

    world.until(seconds(200));
    world.fail();
    assert_eq!(schedule.next(&world.status(), world.now()), None, "what is stale is on disk already");
    world.until(seconds(400));
    assert!(!schedule.is_due(&world.status(), world.now()));
    world.confirm();
    assert!(schedule.is_due(&world.status(), world.now()));
}

proptest! {
    #[test]
    fn noise_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(decode(&bytes).is_err());
    }

    #[test]
    fn damage_is_refused_or_still_a_snapshot(at in 0..400_usize, byte in any::<u8>()) {
        let mut bytes = encode(&file(TARGET, &["1;weight=3;zone=a", "host:80|[::1]:80;meta.a=b"]));
        let at = at % bytes.len();
        bytes[at] = byte;
        if let Ok(read) = decode(&bytes) {
            prop_assert!(!read.endpoints.is_empty());
            prop_assert_eq!(decode(&encode(&read)).unwrap().endpoints.len(), read.endpoints.len());
        }
    }
}
