//! What is in the tables: read while it changes, damaged, set back, let go of.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod live;

use capstan_ids::{Epoch, Position, WallTime};
use capstan_journal::{Append, Commit, Journal, JournalError, Refusal, SnapshotInfo, SnapshotProgress};
use capstan_journal_postgres::{PostgresJournal, PostgresOptions};
use live::{Database, commit, committed, everything, fenced, offer, stream, until};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

/// Two commits of one event, then one of two.
fn filled(database: &Database) -> PostgresJournal {
    let mut journal = database.open();
    for (position, events) in [(1, vec!["a"]), (2, vec!["b"]), (3, vec!["c", "d"])] {
        committed(&mut journal, 1, position, &commit(&events));
    }
    journal
}

fn snapshot(journal: &mut PostgresJournal, at: u64, rows: Vec<Vec<u8>>) -> SnapshotInfo {
    let mut writer = journal.begin_snapshot(Epoch::new(1), &stream("jobs"), Position::new(at)).unwrap();
    rows.into_iter().for_each(|row| writer.row(row));
    writer.finish();
    let mut done = None;
    until(|| match writer.progress() {
        SnapshotProgress::Writing => false,
        SnapshotProgress::Done(info) => done.replace(info).is_none(),
        SnapshotProgress::Failed(error) => panic!("expected a snapshot, found {error:?}"),
    });
    done.unwrap()
}

/// The position that is named when everything is read.
fn damaged_at(journal: &PostgresJournal) -> Option<u64> {
    let mut found = journal.read(Position::new(1)).unwrap().filter_map(Result::err);
    match found.next() {
        Some(JournalError::Damaged { position, place, .. }) => {
            assert!(place.ends_with("table commits"), "{place}");
            Some(position.get())
        }
        None => None,
        Some(other) => panic!("expected damage, found {other:?}"),
    }
}

on_a_database! {
    /// P4, and J3: the first position that cannot be trusted is named, whatever was changed.
    fn what_was_changed_in_the_table_is_found_when_it_is_read(database) {
        let journal = filled(&database);
        assert_eq!(damaged_at(&journal), None);
        for (change, expected) in [
            ("UPDATE commits SET bytes = set_byte(bytes, octet_length(bytes) - 1, 255) WHERE position = 2", 2),
            ("UPDATE commits SET at = at + 1 WHERE position = 3", 3),
            ("UPDATE commits SET epoch = 2 WHERE position = 1", 1),
            ("UPDATE commits SET events = 1 WHERE position = 3", 3),
            ("UPDATE commits SET checksum = checksum + 1 WHERE position = 2", 2),
            ("UPDATE commits SET bytes = (SELECT bytes FROM commits WHERE position = 1) WHERE position = 2", 2),
            ("DELETE FROM commits WHERE position = 1", 1),
            ("DELETE FROM commits WHERE position = 2", 2),
            ("DELETE FROM commits WHERE position = 3", 3),
            ("DELETE FROM commits", 1),
        ] {
            database.run_here(&format!("CREATE TABLE kept AS TABLE commits; {change}"));
            assert_eq!(damaged_at(&journal), Some(expected), "{change}");
            database.run_here("TRUNCATE commits; INSERT INTO commits TABLE kept; DROP TABLE kept");
        }
        assert_eq!(everything(&journal, 1).len(), 3);
    }

    /// A head that is gone is no empty log.
    fn a_journal_without_its_head_is_damaged(database) {
        let mut journal = filled(&database);
        database.run_here("DELETE FROM head");

        let tail = journal.tail();
        let answer = offer(&mut journal, 1, 5, &commit(&["e"]));

        assert!(matches!(tail, Err(JournalError::Damaged { .. })), "{tail:?}");
        assert!(matches!(answer, Append::Broken(JournalError::Damaged { .. })), "{answer:?}");
    }

    /// A position that the head calls free is taken: nobody may guess which of the two is right.
    fn a_commit_beyond_the_head_is_damage(database) {
        let mut journal = filled(&database);
        database.run_here("UPDATE head SET next = 3, ended = 3, follows = 2");
        let mut another = database.open();

        let answer = offer(&mut another, 1, 3, &commit(&["c"]));

        assert!(matches!(answer, Append::Broken(_)), "{answer:?}");
        // Rule 7: whoever saw the higher end knows more.
        let tail = journal.tail();
        assert!(matches!(tail, Err(JournalError::Damaged { position, .. }) if position == Position::new(3)), "{tail:?}");
        let answer = offer(&mut journal, 1, 5, &commit(&["e"]));
        assert!(matches!(answer, Append::Broken(JournalError::Damaged { .. })), "{answer:?}");
    }

    /// An address that leads to another journal all of a sudden.
    fn another_journal_in_the_same_place_is_not_taken_for_this_one(database) {
        let mut journal = filled(&database);
        database.run_here("UPDATE head SET identity = identity + 1");

        let answer = offer(&mut journal, 1, 5, &commit(&["e"]));

        assert!(matches!(answer, Append::Unknown(JournalError::Unfit { .. })), "{answer:?}");
        assert!(matches!(journal.tail(), Err(JournalError::Unfit { .. })));
        assert_eq!(database.count("commits"), 3);
    }

    /// P4 for snapshots: small rows share a page, a large one has its own.
    fn a_snapshot_of_many_pages_is_proved_as_it_is_read(database) {
        let mut journal = filled(&database);
        let rows: Vec<Vec<u8>> = (0..3_000_u32)
            .map(|number| number.to_le_bytes().repeat(if number == 1_500 { 3_000_000 } else { 100 }))
            .collect();
        let info = snapshot(&mut journal, 4, rows.clone());
        let read = |journal: &PostgresJournal| journal.read_snapshot(&info).unwrap().collect::<Result<Vec<_>, _>>();
        assert!(read(&journal).unwrap() == rows, "rows have changed");
        assert!(database.count("snapshot_pages") > 4);

        for change in [
            "UPDATE snapshot_pages SET bytes = set_byte(bytes, 77, get_byte(bytes, 77) # 1) WHERE number = 2",
            "DELETE FROM snapshot_pages WHERE number = 3",
            "DELETE FROM snapshot_pages WHERE number = (SELECT max(number) FROM snapshot_pages)",
            "UPDATE snapshots SET pages = pages - 1",
            "UPDATE snapshots SET rows = rows + 1",
        ] {
            database.run_here(&format!("CREATE TABLE pages AS TABLE snapshot_pages; CREATE TABLE kept AS TABLE snapshots; {change}"));
            let found = read(&journal).map(|rows| rows.len());
            assert!(matches!(found, Err(JournalError::Damaged { .. })), "{change}: {found:?}");
            database.run_here(
                "TRUNCATE snapshot_pages, snapshots; INSERT INTO snapshot_pages TABLE pages; \
                 INSERT INTO snapshots TABLE kept; DROP TABLE pages, kept",
            );
        }
        assert_eq!(read(&journal).unwrap().len(), rows.len());
    }

    /// What nobody can read any more does not stay for ever.
    fn what_is_left_of_snapshots_is_swept_by_the_next(database) {
        let mut journal = filled(&database);
        let first = snapshot(&mut journal, 1, vec![vec![1; 300_000], vec![2; 300_000]]);
        journal.drop_snapshot(&first).unwrap();
        snapshot(&mut journal, 2, vec![vec![3]]);
        assert_eq!((database.count("snapshots"), database.count("snapshot_pages")), (1, 1));

        // The same moment again: the newer one counts, once.
        snapshot(&mut journal, 2, vec![vec![4], vec![5]]);
        let listed = journal.snapshots().unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!(journal.read_snapshot(&listed[0]).unwrap().count(), 2);
        // One that its process did not live to finish.
        database.run_here("INSERT INTO snapshots (id, stream, position, epoch) VALUES (7, 'jobs', 1, 1)");
        snapshot(&mut journal, 3, vec![vec![6]]);
        assert_eq!((database.count("snapshots"), journal.snapshots().unwrap().len()), (2, 2));
    }

    /// P3: a reader never meets a gap, whatever is written beside it.
    fn a_reader_beside_the_writer_sees_every_commit_up_to_its_end(database) {
        const COMMITS: u64 = 300;
        let mut journal = database.open();
        committed(&mut journal, 1, 1, &commit(&["first"]));
        let reading = database.open();
        let over = AtomicBool::new(false);

        let seen = thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut ends = Vec::new();
                while !over.load(Ordering::SeqCst) {
                    let positions: Vec<u64> = everything(&reading, 1).iter().map(|r| r.position.get()).collect();
                    assert_eq!(positions, (1..=positions.len() as u64).collect::<Vec<_>>());
                    ends.push(positions.len());
                }
                ends
            });
            for position in 2..=COMMITS {
                committed(&mut journal, 1, position, &commit(&["another"]));
            }
            over.store(true, Ordering::SeqCst);
            reader.join().unwrap()
        });

        assert!(seen.is_sorted() && seen.len() > 1, "{seen:?}");
        assert_eq!(everything(&reading, 1).len() as u64, COMMITS);
    }

    /// Many more than a page or a slice has; and a reader that retention passes says so.
    fn ten_thousand_commits_stream_back_and_go_in_slices(database) {
        const COMMITS: u64 = 10_000;
        let mut journal = database.open();
        // Flushed by nobody, so that the test is about their number.
        let hurried = format!("{}&options=-csynchronous_commit%3Doff", database.address());
        let mut hurried = PostgresJournal::connect(&hurried, PostgresOptions::default()).unwrap();
        for position in 1..=COMMITS {
            committed(&mut hurried, 1, position, &commit(&["event"]));
        }

        let positions: Vec<u64> = everything(&journal, 1).iter().map(|r| r.position.get()).collect();
        assert_eq!(positions, (1..=COMMITS).collect::<Vec<_>>());
        let size: i64 = database.ask(&format!("SELECT pg_relation_size('{}.head')", database.schema), &[]);
        // Tests beside this one look at the database, and keep old versions of the row for a while.
        assert!(size <= 512 << 10, "the one row of head takes {size} bytes");
        let mut passed = journal.read(Position::new(1)).unwrap();
        assert_eq!(passed.next().unwrap().unwrap().position, Position::new(1));
        journal.trim(Position::new(9_500), &[]).unwrap();

        assert_eq!(journal.tail().unwrap().first, Position::new(9_500));
        assert_eq!(database.count("commits"), 501);
        let end = passed.find_map(Result::err);
        assert!(matches!(end, Some(JournalError::Dropped { first, .. }) if first == Position::new(9_500)), "{end:?}");
        assert_eq!(everything(&journal, 9_500).len(), 501);
    }

    /// A trim that was cut short between keeping and letting go: each event is read once all the same.
    fn an_archive_is_proved_and_repeats_nothing_that_the_log_still_has(database) {
        let mut journal = filled(&database);
        let jobs = stream("jobs");
        journal.trim(Position::new(3), std::slice::from_ref(&jobs)).unwrap();
        let archived = |journal: &PostgresJournal| {
            journal.read_archive(&jobs, Position::new(1)).unwrap().collect::<Result<Vec<_>, _>>()
        };
        let positions = archived(&journal).unwrap().iter().map(|r| r.position.get()).collect::<Vec<_>>();
        assert_eq!(positions, [1, 2]);
        database.run_here("INSERT INTO archive (stream, position, epoch, at, events, bytes, checksum) \
            SELECT 'jobs', position, epoch, at, events, bytes, checksum FROM commits WHERE position = 3");
        assert_eq!(archived(&journal).unwrap().len(), 2);

        journal.trim(Position::new(5), std::slice::from_ref(&jobs)).unwrap();

        assert_eq!(archived(&journal).unwrap().len(), 3);
        assert_eq!(journal.tail().unwrap().first, Position::new(5));
        database.run_here("UPDATE archive SET at = at + 1 WHERE position = 2");
        let found = archived(&journal);
        assert!(matches!(&found, Err(JournalError::Damaged { position, .. }) if *position == Position::new(2)), "{found:?}");
    }

    /// Rule 8: tokens given after the backup was taken are never given again.
    fn a_restored_journal_goes_on_far_higher(database) {
        let mut journal = filled(&database);

        let next = journal.leap().unwrap();

        assert_eq!(next, Position::new(5 + (1 << 44)));
        fenced(&mut journal, 1, 5, &commit(&["as if nothing had happened"]));
        committed(&mut journal, 1, next.get(), &commit(&["e", "f"]));
        let mut journal = database.open();
        assert_eq!(everything(&journal, 1).len(), 4);
        for within in [6, 1 << 43, next.get(), next.get() + 1] {
            assert_eq!(everything(&journal, within)[0].position, next, "from {within}");
        }
        assert_eq!(snapshot(&mut journal, 4, vec![]).at, commit(&[]).at());
        journal.trim(next, &[]).unwrap();
        assert_eq!(everything(&journal, next.get()).len(), 1);
    }

    /// *Full* changes nothing, and is refused at the door until there is room again.
    fn a_database_without_room_refuses_until_it_has_some(database) {
        let mut journal = filled(&database);
        database.run_here(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS \
             $$ BEGIN RAISE EXCEPTION 'no space left on device' USING ERRCODE = '53100'; END $$; \
             CREATE TRIGGER a BEFORE INSERT ON commits FOR EACH ROW EXECUTE FUNCTION full_disk(); \
             CREATE TRIGGER b BEFORE INSERT ON snapshot_pages FOR EACH ROW EXECUTE FUNCTION full_disk()",
        );
        let answer = offer(&mut journal, 1, 5, &commit(&["e"]));
        assert!(matches!(answer, Append::Refused(Refusal::Full { .. })), "{answer:?}");
        assert!(matches!(journal.reserve(4 << 20), Err(Refusal::Full { needed, .. }) if needed == 4 << 20));
        assert_eq!(everything(&journal, 1).len(), 3);

        database.run_here("DROP FUNCTION full_disk CASCADE");

        assert_eq!(journal.reserve(4 << 20), Ok(()));
        committed(&mut journal, 1, 5, &commit(&["e"]));
        assert_eq!(database.count("snapshot_pages"), 0);
    }

    /// What takes long because it is large is given its time, here and by the database.
    fn a_commit_of_the_default_limit_is_taken(database) {
        let mut journal = PostgresJournal::connect(&database.address(), live::impatient()).unwrap();
        let mut large = Commit::new(WallTime(1));
        large.push(&stream("jobs"), |bytes| bytes.resize(64 << 20, 7));
        assert_eq!(journal.reserve(large.size()), Ok(()));

        committed(&mut journal, 1, 1, &large);

        assert!(everything(&journal, 1)[0].commit == large, "a large commit has changed");
        database.run_here("BEGIN; SELECT * FROM head FOR UPDATE");
        let answer = offer(&mut journal, 1, 2, &commit(&["a"]));
        database.run("COMMIT");
        assert!(matches!(answer, Append::Unknown(_)), "expected half a second again, found {answer:?}");
    }

    /// Where the limit is said, it holds; and what it lets in is taken.
    fn a_commit_above_the_limit_is_refused_at_the_door(database) {
        let limit = 1 << 20;
        let options = PostgresOptions { commit_bytes_max: limit, ..Default::default() };
        let mut journal = PostgresJournal::connect(&database.address(), options).unwrap();
        let mut large = Commit::new(WallTime(1));
        large.push(&stream("jobs"), |bytes| bytes.resize(limit as usize, 7));
        let mut larger = large.clone();
        larger.push(&stream("jobs"), |bytes| bytes.push(7));

        assert_eq!(journal.reserve(limit as usize + 1), Err(Refusal::TooLarge { size: limit + 1, limit }));
        let answer = offer(&mut journal, 1, 1, &larger);
        assert!(matches!(answer, Append::Refused(Refusal::TooLarge { .. })), "{answer:?}");
        assert_eq!(journal.reserve(limit as usize), Ok(()));
        committed(&mut journal, 1, 1, &large);
    }
}
