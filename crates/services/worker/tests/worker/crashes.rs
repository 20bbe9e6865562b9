//! A worker killed at every durable step leaves what another goes on from, to the same bytes.

use crate::stage::Stage;
use crate::trap::{Side, Trap};
use capstan_migration::{JobName, ReportState};
use capstan_worker::Options;
use std::fs;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// Longer than a job's leases.
const AGES: Duration = Duration::from_secs(40);
/// More steps than any of these jobs has.
const STEPS_MAX: i64 = 200;

/// Kills a worker at one step after the other, each time in a job of its own, until a job ends without coming so far.
fn killed_at_every_step(spec: &str, judge: impl Fn(&Runtime, &Stage, &JobName, &str)) {
    for side in [Side::Before, Side::After] {
        let mut step = 0;
        loop {
            step += 1;
            assert!(step < STEPS_MAX, "a job that never ends");
            let runtime = Runtime::new().unwrap();
            let doomed = Runtime::new().unwrap();
            let stage = runtime.block_on(async { Stage::new() });
            stage.write_dump(60);
            let job = runtime.block_on(stage.submit(&stage.spec(spec)));
            let trap = Arc::new(Trap::at(stage.line.clone(), step, side));
            let options =
                |name| Options { slots: 1, part_bytes: 4_000, checkpoint_bytes: 4_000, ..stage.options(name) };
            let victim = doomed.block_on(async { stage.employ_over(trap.clone(), options("victim")) });
            let died = runtime.block_on(async {
                tokio::select! {
                    () = trap.sprung() => true,
                    _ = stage.ended(&job) => false,
                }
            });
            if died {
                doomed.shutdown_background();
                stage.pass(AGES);
                runtime.block_on(async {
                    let heir = stage.employ(options("heir"));
                    let report = stage.ended(&job).await;
                    assert_eq!(report.state, ReportState::Completed, "step {step}, {side:?}: {report:#?}");
                    heir.dismiss().await;
                });
            } else {
                doomed.block_on(victim.dismiss());
            }
            judge(&runtime, &stage, &job, &format!("{side:?} step {step}"));
            if !died {
                assert!(step > 8, "{side:?}: only {step} steps");
                break;
            }
        }
    }
}

#[test]
fn through_the_spool() {
    let spec = "chunks = { documents = 20 }\nretry = { backoff_ms = 0 }";
    killed_at_every_step(spec, |_, stage, _, at| {
        assert_eq!(stage.files("to"), stage.files("from"), "{at}");
        assert_eq!(stage.spooled(), Vec::<std::path::PathBuf>::new(), "{at}: nothing stays in the spool");
    });
}

#[test]
fn straight_to_the_target() {
    let spec = "mode = 'direct'\nchunks = { documents = 30 }\nretry = { backoff_ms = 0 }";
    killed_at_every_step(spec, |_, stage, _, at| assert_eq!(stage.files("to"), stage.files("from"), "{at}"));
}

#[test]
fn into_a_kept_dump() {
    let spec = "mode = 'dump-only'\nto = ''\nchunks = { documents = 20 }\nretry = { backoff_ms = 0 }";
    killed_at_every_step(spec, |runtime, stage, _, at| {
        let catalogues = stage.spooled().into_iter().filter(|part| part.to_str().unwrap().contains("/catalogue_0"));
        assert_eq!(catalogues.count(), 1, "{at}: one catalogue is left");
        runtime.block_on(async {
            let worker = stage.employ(stage.options("restorer"));
            let job = stage.submit(&stage.spec("mode = 'restore-only'\nfrom = ''")).await;
            stage.ended(&job).await;
            worker.dismiss().await;
        });
        assert_eq!(stage.files("to"), stage.files("from"), "{at}");
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_cut_at_any_byte_or_with_any_bit_flipped_is_dumped_again_and_never_done() {
    let stage = Stage::new();
    stage.write_small(500);
    let spec = stage.spec("verify = 'hash'\nretry = { backoff_ms = 0 }");
    let job = stage.submit(&spec).await;
    let kinds = ["plan", "dump"].map(|kind| capstan_ids::Kind::new(kind).unwrap()).into();
    let dumper = stage.employ(Options { kinds, slots: 8, ..stage.options("dumper") });
    stage.until_job(&job, "all dumps", |view| view.units_planned == 500 && view.chunks_dumped == view.chunks).await;
    dumper.dismiss().await;
    let parts = stage.spooled();
    let size = fs::read(&parts[0]).unwrap().len();
    assert!(parts.len() == 500 && size < 250, "{} parts of {size} bytes", parts.len());

    for (number, part) in parts.iter().enumerate() {
        let mut bytes = fs::read(part).unwrap();
        let at = number % bytes.len();
        if number < bytes.len() {
            bytes.truncate(at)
        } else {
            bytes[at] ^= 1 << (number % 8)
        }
        fs::write(part, bytes).unwrap();
    }
    let worker = stage.employ(Options { slots: 8, ..stage.options("alice") });
    let report = stage.ended(&job).await;

    assert_eq!((report.state, report.documents), (ReportState::Completed, 500), "{report:#?}");
    assert_eq!(stage.files("to"), stage.files("from"));
    let again = stage.look(move |state| {
        let units: Vec<_> = state.jobs.units(&job).unwrap().map(|unit| unit.id).collect();
        let chunks = units.iter().flat_map(|unit| state.jobs.chunks(&job, *unit).unwrap());
        chunks.filter(|chunk| chunk.generation == 1).count()
    });
    assert_eq!(again.await, 500, "each was dumped a second time");
    worker.dismiss().await;
}
