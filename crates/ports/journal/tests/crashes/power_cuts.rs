//! The power goes at any flush, and any part of what was not flushed survives.

use super::*;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Append { extra: usize },
    Idle,
    Trim { back: u64 },
    Snapshot,
    Reopen,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        12 => prop_oneof![4 => 0..200_usize, 1 => 0..6_000_usize].prop_map(|extra| Step::Append { extra }),
        1 => Just(Step::Idle),
        1 => (0..20_u64).prop_map(|back| Step::Trim { back }),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..60)
}

/// One life between two power cuts: what is done, at which flush the power goes, and how luck deals with the rest.
#[derive(Clone, Debug)]
struct Life {
    steps: Vec<Step>,
    flushes: u64,
    luck: Vec<u16>,
}

fn lives() -> impl Strategy<Value = Vec<Life>> {
    let luck = prop::collection::vec(any::<u16>(), 1..40);
    let life = (steps(), 0..80_u64, luck).prop_map(|(steps, flushes, luck)| Life { steps, flushes, luck });
    prop::collection::vec(life, 1..6)
}

/// A third of the pieces survives whole, a third not at all, the rest is torn.
fn survivors(luck: &[u16]) -> impl FnMut(usize) -> usize + use<'_> {
    let mut luck = luck.iter().copied().cycle();
    move |length| match luck.next().unwrap() {
        draw if draw % 3 == 0 => 0,
        draw if draw % 3 == 1 => length,
        draw => usize::from(draw) % (length + 1),
    }
}

/// What must be found: the acknowledged commits, and perhaps the one that was never answered.
#[derive(Default)]
struct Expected {
    acknowledged: Vec<Commit>,
    unanswered: Option<Commit>,
    snapshots: Vec<u64>,
}

impl Expected {
    fn check(&mut self, journal: &mut EmbeddedJournal) {
        let tail = journal.tail().unwrap();
        let found = tail.next.get() as usize - 1;
        let acknowledged = self.acknowledged.len();
        if found == acknowledged + 1 {
            self.acknowledged.push(self.unanswered.take().expect("nothing comes back that was cut"));
        } else {
            assert_eq!(found, acknowledged, "what was acknowledged is there, and nothing more");
        }
        self.unanswered = None;
        let mut position = tail.first;
        for recorded in journal.read(tail.first).unwrap() {
            let recorded = recorded.unwrap();
            assert_eq!(recorded.position, position);
            assert_eq!(recorded.commit, self.acknowledged[position.get() as usize - 1]);
            position = position.plus(1);
        }
        assert_eq!(position, tail.next);
        let snapshots = journal.snapshots().unwrap();
        for at in &self.snapshots {
            let info = snapshots.iter().find(|s| s.position.get() == *at).expect("a finished snapshot is there");
            let rows: Vec<_> = journal.read_snapshot(info).unwrap().map(Result::unwrap).collect();
            assert_eq!(rows, [at.to_le_bytes().to_vec()]);
        }
    }

    /// Takes one step; whether the power is still there.
    fn step(&mut self, journal: &mut EmbeddedJournal, step: &Step, filler: u8) -> bool {
        let position = Position::new(self.acknowledged.len() as u64 + 1);
        match step {
            Step::Append { extra } => {
                // The filler tells what a later life wrote from what an earlier one did.
                let mut made = Commit::new(WallTime(position.get() as i64));
                made.push(&StreamName::new("jobs").unwrap(), |b| b.resize(*extra, filler));
                match journal.append(LEADER, position, &made) {
                    Append::Committed => self.acknowledged.push(made),
                    Append::Broken(_) => {
                        self.unanswered = Some(made);
                        return false;
                    }
                    other => panic!("{other:?}"),
                }
            }
            Step::Idle => return journal.idle().is_ok(),
            Step::Trim { back } => {
                return journal.trim(Position::new(position.get().saturating_sub(*back)), &[]).is_ok();
            }
            Step::Snapshot if position.get() == 1 => {}
            Step::Snapshot => {
                let at = position.get() - 1;
                let stream = StreamName::new("jobs").unwrap();
                let mut writer = journal.begin_snapshot(LEADER, &stream, Position::new(at)).unwrap();
                writer.row(at.to_le_bytes().to_vec());
                writer.finish();
                loop {
                    match writer.progress() {
                        capstan_journal::SnapshotProgress::Writing => std::thread::yield_now(),
                        capstan_journal::SnapshotProgress::Done(_) => break,
                        capstan_journal::SnapshotProgress::Failed(_) => return false,
                    }
                }
                self.snapshots.push(at);
            }
            Step::Reopen => {}
        }
        true
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn everything_acknowledged_is_there_and_nothing_that_was_cut_comes_back(lives in lives()) {
        let disk = FaultyDisk::new();
        let mut expected = Expected::default();
        for (number, life) in lives.iter().enumerate() {
            disk.lose_power_at_flush(life.flushes);
            // The power may go while it is opened, too.
            if let Ok(mut journal) = open(&disk) {
                expected.check(&mut journal);
                for step in &life.steps {
                    if matches!(step, Step::Reopen) {
                        drop(journal);
                        match open(&disk) {
                            Ok(opened) => journal = opened,
                            Err(_) => break,
                        }
                        expected.check(&mut journal);
                    } else if !expected.step(&mut journal, step, number as u8 + 1) {
                        break;
                    }
                }
            }
            disk.cut_power(survivors(&life.luck));
        }
        expected.check(&mut open(&disk).unwrap());
    }
}
