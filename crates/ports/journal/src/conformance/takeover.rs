//! Claims about backups, and about journals that are filled from them.

use super::{LEADER, Store, commit_of, committed, done, everything, fenced, next, stream};
use crate::backup::{self, Contents, Look};
use crate::embedded::faulty::FaultyDisk;
use crate::{Beginning, Commit, EmbeddedJournal, EmbeddedOptions, Journal, Recorded, Takeover};
use capstan_ids::{Epoch, Position, StreamName, WallTime};

/// Makes a test of each claim about a store that several processes have open, each on two stores of its own.
#[macro_export]
macro_rules! shared_takeover_conformance {
    ($store:expr) => {
        $crate::takeover_conformance!(@each $store,
            whoever_had_a_journal_open_before_a_restore_adds_nothing_to_it
        );
    };
}

/// Makes a test of each claim, each on two stores of its own.
#[macro_export]
macro_rules! takeover_conformance {
    ($store:expr) => {
        $crate::takeover_conformance!(@each $store,
            a_journal_is_restored_as_it_was
            commits_that_are_put_again_stand_once
            a_restored_journal_goes_on_2_44_higher
            a_restore_into_a_journal_with_anything_in_it_is_refused
            a_backup_of_an_empty_journal_is_restored
            a_backup_of_a_restored_journal_keeps_its_gap
            a_restored_snapshot_that_is_older_than_the_log_is_listed
            a_restored_journal_is_trimmed_like_any_other
            positions_before_a_restored_beginning_stay_taken
            a_journal_is_restored_from_a_directory_and_into_one
        );
    };
    (@each $store:expr, $($claim:ident)*) => {
        $(
            #[test]
            fn $claim() {
                $crate::conformance::$claim($store, $store);
            }
        )*
    };
}

/// The stream of the suite that has an archive.
pub fn audited() -> StreamName {
    stream("registry")
}

/// Stream, position, epoch, time and rows.
type SeenSnapshot = (StreamName, Position, Epoch, WallTime, Vec<Vec<u8>>);

/// Everything that a reader of a journal can see, sizes of snapshots aside: they are the store's own.
#[derive(Debug, PartialEq)]
pub struct Seen {
    snapshots: Vec<SeenSnapshot>,
    archive: Vec<Recorded>,
    log: Vec<Recorded>,
    first: Position,
    next: Position,
    epoch: Epoch,
}

impl Seen {
    /// The position that the first event after a restore takes.
    pub fn leap(&self) -> Position {
        leapt(self.next)
    }

    /// The same, as it is once it was restored.
    pub fn going_on_at(self, next: Position) -> Self {
        Self { next, ..self }
    }
}

/// Looks at everything.
pub fn seen(journal: &mut dyn Journal, audited: &StreamName) -> Seen {
    let tail = journal.tail().expect("the store answers");
    let infos = journal.snapshots().expect("the snapshots are listed");
    let snapshots = infos.into_iter().map(|info| {
        let rows = journal.read_snapshot(&info).expect("the snapshot is there");
        let rows = rows.map(|row| row.expect("the snapshot is whole")).collect();
        (info.stream, info.position, info.epoch, info.at, rows)
    });
    let mut snapshots: Vec<_> = snapshots.collect();
    snapshots.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let archive = journal.read_archive(audited, Position::ZERO).expect("the archive is read");
    let log: Vec<_> = match tail.first < tail.next {
        true => journal.read(tail.first).expect("the log is read").collect(),
        false => Vec::new(),
    };
    Seen {
        snapshots,
        archive: archive.map(|run| run.expect("the archive is whole")).collect(),
        log: log.into_iter().map(|recorded| recorded.expect("the log is whole")).collect(),
        first: tail.first,
        next: tail.next,
        epoch: tail.epoch,
    }
}

/// A backup of `journal`.
pub fn backup_of(journal: &mut dyn Journal, audited: &StreamName) -> (Vec<u8>, Contents) {
    let look = Look::at(journal, std::slice::from_ref(audited)).expect("the journal is opened");
    let mut bytes = Vec::new();
    let taken = WallTime(1_790_000_000_000_000);
    let contents = backup::write(look, &mut |info| journal.read_snapshot(info), taken, &mut bytes);
    (bytes, contents.expect("the backup is written"))
}

/// Restores a backup, and answers the position that the next event takes.
pub fn restored(bytes: &[u8], target: &mut dyn Takeover) -> Position {
    let verified = backup::verify(&mut &*bytes).expect("the backup is whole");
    backup::restore(&mut &*bytes, &verified, target, &mut |_| {}).expect("the backup is restored")
}

/// A journal that has lived for a while: trimmed, archived, with snapshots of two leaderships.
pub fn lived(journal: &mut impl Journal) {
    let plain = stream("work/shop");
    let mut position = 1_u64;
    while position <= 3_000 {
        let mut commit = Commit::new(WallTime(1_000_000 + position as i64));
        commit.push(&plain, |bytes| bytes.extend_from_slice(&position.to_le_bytes().repeat(20)));
        commit.push(&audited(), |bytes| bytes.extend_from_slice(format!("audited {position}").as_bytes()));
        commit.push(&plain, |_| {});
        committed(journal, position, &commit);
        position += 3;
        if position == 601 || position == 2_401 {
            let writer = journal.begin_snapshot(LEADER, &audited(), Position::new(position - 1));
            let mut writer = writer.expect("a snapshot is begun");
            for row in 0..50_u32 {
                writer.row(row.to_le_bytes().repeat(row as usize));
            }
            done(writer);
        }
    }
    journal.trim(Position::new(2_401), &[audited()]).expect("the log is trimmed");
    let later = LEADER.next();
    for event in ["one", "two"] {
        let next = Position::new(next(journal));
        let answer = journal.append(later, next, &commit_of("work/shop", &[event]));
        assert!(matches!(answer, crate::Append::Committed), "{answer:?}");
    }
    let mut writer = journal.begin_snapshot(later, &plain, Position::new(3_001)).expect("a snapshot is begun");
    writer.row(b"shop".to_vec());
    done(writer);
}

fn leapt(next: Position) -> Position {
    next.plus(Position::RESTORE_LEAP)
}

/// Snapshots, archive, commits, positions and epochs; a crash right after it changes nothing.
pub fn a_journal_is_restored_as_it_was<S: Store>(mut store: S, mut other: S)
where
    S::Journal: Takeover,
{
    let mut journal = store.open();
    lived(&mut journal);
    let was = seen(&mut journal, &audited());
    assert!(was.first > Position::new(1) && !was.archive.is_empty() && was.snapshots.len() == 3, "{was:?}");
    let (bytes, contents) = backup_of(&mut journal, &audited());
    assert_eq!(contents.commits, was.log.len() as u64);

    let mut target = other.open();
    let next = restored(&bytes, &mut target);

    assert_eq!(next, leapt(was.next));
    let expected = Seen { next, ..was };
    assert_eq!(seen(&mut target, &audited()), expected);
    other.crash(target);
    assert_eq!(seen(&mut other.open(), &audited()), expected);
}

/// An answer was lost: the same commits are offered again.
pub fn commits_that_are_put_again_stand_once<S: Store>(mut store: S, _: S)
where
    S::Journal: Takeover,
{
    let mut journal = store.open();
    let beginning = Beginning { first: Position::new(40), epoch: Epoch::new(2), before: WallTime(7) };
    journal.begin(&beginning).expect("the journal is empty");
    let recorded = |position: u64, epoch: u64, event: &str| Recorded {
        position: Position::new(position),
        epoch: Epoch::new(epoch),
        commit: commit_of("jobs", &[event]),
    };
    let one = [recorded(40, 2, "one"), recorded(41, 3, "two"), recorded(90, 3, "behind a gap")];
    let other = [recorded(91, 5, "other")];

    for commits in [&one[..], &one, &other, &other] {
        let answer = journal.put(commits);
        assert!(matches!(answer, crate::Append::Committed), "{answer:?}");
    }
    for stale in [recorded(90, 3, "another"), recorded(92, 4, "under an older leader")] {
        let answer = journal.put(&[stale]);
        assert!(matches!(answer, crate::Append::Fenced), "{answer:?}");
    }
    journal.complete().expect("the restore ends");

    assert_eq!(everything(&journal, 40), [&one[..], &other].concat());
    drop(journal);
    assert_eq!(everything(&store.open(), 40), [&one[..], &other].concat());
}

/// A server that was started before a restore began, and leads once it is under way.
pub fn whoever_had_a_journal_open_before_a_restore_adds_nothing_to_it<S: Store>(mut store: S, _: S)
where
    S::Journal: Takeover,
{
    let (mut early, mut journal) = (store.open(), store.open());
    early.tail().expect("the store answers");
    let beginning = Beginning { first: Position::new(1), epoch: Epoch::new(2), before: WallTime(7) };
    journal.begin(&beginning).expect("the journal is empty");

    let accession = commit_of("jobs", &["I lead"]);
    let answer = early.append(Epoch::new(9), Position::new(1), &accession);
    assert!(!matches!(answer, crate::Append::Committed), "{answer:?}");
    assert!(early.tail().is_err(), "it is told that a restore is under way");
    let one = Recorded { position: Position::new(1), epoch: Epoch::new(2), commit: commit_of("jobs", &["one"]) };
    let answer = journal.put(std::slice::from_ref(&one));
    assert!(matches!(answer, crate::Append::Committed), "{answer:?}");
    let answer = early.append(Epoch::new(9), Position::new(2), &accession);
    assert!(!matches!(answer, crate::Append::Committed), "{answer:?}");
    journal.complete().expect("the restore ends");

    assert_eq!(everything(&store.open(), 1), [one]);
}

/// Soundness rule 8: what was granted after the backup is below everything that is granted from now on.
pub fn a_restored_journal_goes_on_2_44_higher<S: Store>(mut store: S, mut other: S)
where
    S::Journal: Takeover,
{
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["one", "two"]));
    let (bytes, _) = backup_of(&mut journal, &audited());
    let mut target = other.open();
    restored(&bytes, &mut target);
    drop(target);

    let mut target = other.open();
    fenced(&mut target, LEADER, 3, &commit_of("jobs", &["after the backup"]));
    committed(&mut target, 3 + Position::RESTORE_LEAP, &commit_of("jobs", &["three"]));

    let positions: Vec<_> = everything(&target, 1).iter().map(|recorded| recorded.position.get()).collect();
    assert_eq!(positions, [1, 3 + Position::RESTORE_LEAP]);
}

/// B3: and nothing of it is changed.
pub fn a_restore_into_a_journal_with_anything_in_it_is_refused<S: Store>(mut store: S, mut other: S)
where
    S::Journal: Takeover,
{
    let mut journal = store.open();
    committed(&mut journal, 1, &commit_of("jobs", &["mine"]));
    let (bytes, verified) = backup_of(&mut journal, &audited());
    let mut target = other.open();
    committed(&mut target, 1, &commit_of("jobs", &["theirs"]));
    let was = seen(&mut target, &audited());

    let refused = backup::restore(&mut &bytes[..], &verified, &mut target, &mut |_| {}).err();

    let refused = refused.expect("it is refused").to_string();
    assert!(refused.contains("not empty"), "{refused}");
    assert_eq!(seen(&mut target, &audited()), was);
    drop(target);
    let mut target = other.open();
    committed(&mut target, 2, &commit_of("jobs", &["it goes on"]));
}

/// Nothing is something too: its tokens begin higher.
pub fn a_backup_of_an_empty_journal_is_restored<S: Store>(mut store: S, mut other: S)
where
    S::Journal: Takeover,
{
    let (bytes, contents) = backup_of(&mut store.open(), &audited());
    assert_eq!((contents.commits, contents.next), (0, Position::new(1)));

    let mut target = other.open();
    let next = restored(&bytes, &mut target);

    assert_eq!(next, leapt(Position::new(1)));
    drop(target);
    committed(&mut other.open(), next.get(), &commit_of("jobs", &["one"]));
}

/// A journal that was restored once is restored again.
pub fn a_backup_of_a_restored_journal_keeps_its_gap<S: Store>(mut store: S, mut other: S)
where
    S::Journal: Takeover,
{
    let mut journal = store.open();
    let beginning = Beginning { first: Position::new(40), epoch: Epoch::new(2), before: WallTime(7) };
    journal.begin(&beginning).expect("the journal is empty");
    committed(&mut journal, 40, &commit_of("jobs", &["one"]));
    let gap = journal.complete().expect("the restore ends");
    committed(&mut journal, gap.get(), &commit_of("jobs", &["two"]));
    let was = seen(&mut journal, &audited());
    assert_eq!((was.first, was.log.len()), (Position::new(40), 2));
    let (bytes, _) = backup_of(&mut journal, &audited());

    let mut target = other.open();
    let next = restored(&bytes, &mut target);

    assert_eq!(seen(&mut target, &audited()), Seen { next, ..was });
}

/// A snapshot from the edge of an audit's retention has no log behind it, and is kept all the same.
pub fn a_restored_snapshot_that_is_older_than_the_log_is_listed<S: Store>(mut store: S, _: S)
where
    S::Journal: Takeover,
{
    let mut journal = store.open();
    let beginning = Beginning { first: Position::new(500), epoch: Epoch::new(2), before: WallTime(7) };
    journal.begin(&beginning).expect("the journal is empty");
    let info = crate::SnapshotInfo {
        stream: audited(),
        position: Position::new(3),
        epoch: Epoch::new(1),
        at: WallTime(5),
        bytes: 0,
    };
    let mut writer = journal.adopt_snapshot(&info).expect("the snapshot is taken");
    writer.row(b"old".to_vec());
    done(writer);
    journal.complete().expect("the restore ends");
    drop(journal);

    let found = seen(&mut store.open(), &audited()).snapshots;
    assert_eq!(found, [(audited(), Position::new(3), Epoch::new(1), WallTime(5), vec![b"old".to_vec()])]);
}

/// What a restore put into the log leaves it by the same door.
pub fn a_restored_journal_is_trimmed_like_any_other<S: Store>(mut store: S, mut other: S)
where
    S::Journal: Takeover,
{
    let mut journal = store.open();
    lived(&mut journal);
    let was = seen(&mut journal, &audited());
    let (bytes, _) = backup_of(&mut journal, &audited());
    let mut target = other.open();
    let next = restored(&bytes, &mut target);
    drop(target);

    let mut target = other.open();
    let answer = target.append(LEADER.next(), next, &commit_of("work/shop", &["three"]));
    assert!(matches!(answer, crate::Append::Committed), "{answer:?}");
    target.trim(next, &[audited()]).expect("the log is trimmed");

    let mine = |recorded: &Recorded| recorded.commit.entries(recorded.position).any(|e| *e.stream == audited());
    let now = seen(&mut target, &audited());
    assert!(now.first > was.first, "the log begins at {}", now.first);
    assert_eq!(now.archive.iter().filter(|r| mine(r)).count(), 1_000 - now.log.iter().filter(|r| mine(r)).count());
    target.trim_archive(&audited(), WallTime(i64::MAX)).expect("the archive is trimmed");
    assert!(seen(&mut target, &audited()).archive.is_empty());
}

/// What was trimmed before the backup comes back to life nowhere.
pub fn positions_before_a_restored_beginning_stay_taken<S: Store>(mut store: S, _: S)
where
    S::Journal: Takeover,
{
    let mut journal = store.open();
    let beginning = Beginning { first: Position::new(500), epoch: Epoch::new(2), before: WallTime(7) };
    journal.begin(&beginning).expect("the journal is empty");
    committed(&mut journal, 500, &commit_of("jobs", &["one"]));
    journal.complete().expect("the restore ends");
    drop(journal);

    let mut journal = store.open();
    for position in [1, 7, 499, 500] {
        fenced(&mut journal, LEADER, position, &commit_of("jobs", &["late"]));
    }
    fenced(&mut journal, Epoch::new(1), 501 + Position::RESTORE_LEAP, &commit_of("jobs", &["deposed"]));
    assert!(matches!(journal.read(Position::new(1)).err(), Some(crate::JournalError::Dropped { .. })));
}

/// How a user grows, and the way back.
pub fn a_journal_is_restored_from_a_directory_and_into_one<S: Store>(mut store: S, mut other: S)
where
    S::Journal: Takeover,
{
    let embedded = || {
        let options = EmbeddedOptions { segment_bytes: 16 << 10, ..EmbeddedOptions::default() };
        EmbeddedJournal::open_in(FaultyDisk::new().files(), options).expect("an empty disk takes a journal")
    };
    let mut journal = embedded();
    lived(&mut journal);
    let was = seen(&mut journal, &audited());

    let mut last = was.next;
    let mut grown = store.open();
    let mut back = embedded();
    let mut again = other.open();
    let mut from: &mut dyn Journal = &mut journal;
    for target in [&mut grown as &mut dyn Takeover, &mut back, &mut again] {
        let (bytes, _) = backup_of(from, &audited());
        last = restored(&bytes, target);
        from = target;
    }

    assert_eq!(last, was.leap().plus(2 * Position::RESTORE_LEAP));
    assert_eq!(seen(&mut again, &audited()), was.going_on_at(last));
}
