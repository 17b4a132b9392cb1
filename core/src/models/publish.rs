//! The double buffer under one state word: readers against a writer, and against a writer that died.

use super::{PREEMPTIONS, breaks, holds};
use crate::publish::state_word::{self, Orders, Seen, Sound};
use crate::sync::{
    AtomicU32,
    Ordering::{self, Relaxed},
};
use loom::{sync::Arc, thread};
use std::boxed::Box;
use std::panic::{catch_unwind, resume_unwind};

/// What the buffer that no table has used yet holds.
const NEVER: u32 = u32::MAX;

/// Two buffers of two words. Table k fills its buffer with k.
struct Board {
    state: AtomicU32,
    tables: [[AtomicU32; 2]; 2],
}

impl Board {
    fn new() -> Arc<Self> {
        let pair = |value| [AtomicU32::new(value), AtomicU32::new(value)];
        Arc::new(Self { state: AtomicU32::new(0), tables: [pair(0), pair(NEVER)] })
    }

    fn publish<O: Orders>(&self, k: u32) -> u32 {
        state_word::write::<O>(&self.state, k, |buffer| {
            self.tables[buffer as usize].iter().for_each(|word| word.store(k + 1, Relaxed));
        })
    }

    /// Reads once; what is confirmed must be one whole table, in its place.
    fn check<O: Orders>(&self) -> Option<u32> {
        state_word::try_read::<O, _>(&self.state, |buffer| self.look(buffer)).map(whole)
    }

    /// The one attempt of the usual pick: it is content only if the word has not moved at all.
    fn glance<O: Orders>(&self) -> Option<u32> {
        let seen = Seen::now::<O>(&self.state);
        let found = self.look(seen.buffer());
        seen.is_unmoved::<O>(&self.state).then(|| whole(found))
    }

    fn look(&self, buffer: u32) -> (u32, u32, u32) {
        let [first, second] = self.tables[buffer as usize].each_ref().map(|word| word.load(Relaxed));
        (buffer, first, second)
    }
}

/// Which table was confirmed: it must be whole, and in its place.
fn whole((buffer, first, second): (u32, u32, u32)) -> u32 {
    assert!(first == second && first != NEVER && first & 1 == buffer, "torn: {first} {second}");
    first
}

fn model<O: Orders + 'static>(writes: u32, readers: usize) {
    let board = Board::new();
    let writer = board.clone();
    let mut threads = std::vec![thread::spawn(move || {
        (0..writes).fold(0, |k, _| writer.publish::<O>(k));
    })];
    for _ in 1..readers {
        let board = board.clone();
        threads.push(thread::spawn(move || {
            board.check::<O>();
        }));
    }
    board.check::<O>();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(board.check::<O>(), Some(writes), "the last table is the current one");
}

#[test]
fn a_confirmed_read_is_one_whole_table() {
    holds(PREEMPTIONS, || model::<Sound>(3, 1));
}

#[test]
fn readers_do_not_disturb_one_another() {
    // Two preemptions: a third thread multiplies the executions, and a torn read needs only one writer in the middle.
    holds(2, || model::<Sound>(2, 2));
}

#[test]
fn tables_never_go_back() {
    holds(PREEMPTIONS, || {
        let board = Board::new();
        let writer = board.clone();
        let thread = thread::spawn(move || {
            (0..2).fold(0, |k, _| writer.publish::<Sound>(k));
        });
        let (first, second) = (board.check::<Sound>(), board.check::<Sound>());
        assert!(second.is_none() || second >= first, "a newer table was seen before");
        thread.join().unwrap();
    });
}

/// Declares a control: a model under the protocol with one choice changed.
macro_rules! control {
    ($name:ident, $control:ident, $model:ident($($size:expr),*), $choice:ident: $type:ty = $value:expr) => {
        #[test]
        fn $name() {
            struct $control;
            impl Orders for $control {
                const $choice: $type = $value;
            }
            breaks("torn", || $model::<$control>($($size),*));
        }
    };
}

control!(needs_the_writers_fence, NoWriterFence, model(3, 1), WRITER_FENCE: bool = false);
control!(needs_the_readers_fence, NoReaderFence, model(3, 1), READER_FENCE: bool = false);
control!(needs_the_second_look, NoSecondLook, model(3, 1), TOLERANCE: Option<u32> = None);
control!(tolerates_a_move_of_two_only, ToleranceOfThree, model(3, 1), TOLERANCE: Option<u32> = Some(3));
control!(needs_the_publication_released, RelaxedPublication, model(3, 1), PUBLISH: Ordering = Relaxed);
control!(needs_the_first_look_acquired, RelaxedFirstLook, model(3, 1), FIRST_LOAD: Ordering = Relaxed);
control!(needs_the_start_mark, NoStartMark, model(3, 1), MARK: Option<Ordering> = None);
control!(needs_the_start_mark_released, RelaxedStartMark, model(3, 1), MARK: Option<Ordering> = Some(Relaxed));

fn usual_pick<O: Orders + 'static>() {
    let board = Board::new();
    let writer = board.clone();
    let thread = thread::spawn(move || {
        (0..3).fold(0, |k, _| writer.publish::<O>(k));
    });
    board.glance::<O>();
    thread.join().unwrap();
    assert_eq!(board.glance::<O>(), Some(3), "the last table is the current one");
}

#[test]
fn the_usual_pick_reads_one_whole_table() {
    holds(PREEMPTIONS, usual_pick::<Sound>);
}

control!(the_usual_pick_needs_the_writers_fence, UsualNoWriterFence, usual_pick(), WRITER_FENCE: bool = false);
control!(the_usual_pick_needs_the_readers_fence, UsualNoReaderFence, usual_pick(), READER_FENCE: bool = false);
control!(the_usual_pick_needs_the_publication_released, UsualRelaxed, usual_pick(), PUBLISH: Ordering = Relaxed);
control!(the_usual_pick_needs_the_first_look_acquired, UsualFirstLook, usual_pick(), FIRST_LOAD: Ordering = Relaxed);

/// A writer dies in the middle of table 1; another one takes over where the state word stands, plus `mistake`.
fn takeover(mistake: u32) {
    let board = Board::new();
    let dying = board.clone();
    let former = thread::spawn(move || {
        let death = catch_unwind(core::panic::AssertUnwindSafe(|| {
            state_word::write::<Sound>(&dying.state, 0, |buffer| {
                dying.tables[buffer as usize][0].store(77, Relaxed);
                resume_unwind(Box::new(()));
            });
        }));
        assert!(death.is_err(), "it died");
    });
    let reader = board.clone();
    let reader = thread::spawn(move || {
        reader.check::<Sound>();
        reader.check::<Sound>();
    });
    former.join().unwrap();
    let k = state_word::current(&board.state) + mistake;
    let k = board.publish::<Sound>(k);
    board.publish::<Sound>(k);
    reader.join().unwrap();
}

#[test]
fn a_dead_writer_disturbs_nobody() {
    holds(2, || takeover(0));
}

#[test]
fn a_half_written_table_must_be_written_anew() {
    breaks("torn", || takeover(1));
}

/// The second double buffer, of schedules: rewritten in some publications only, named by the table.
struct WithSchedule {
    board: Arc<Board>,
    schedules: Arc<[[AtomicU32; 2]; 2]>,
}

/// Where the schedule is written.
#[derive(Clone, Copy)]
enum Place {
    /// Into the buffer not in use, between start mark and data: right.
    Inside,
    /// Into the buffer not in use, before the start mark.
    BeforeTheMark,
    /// Into the buffer in use, as a new controller would that does not know which one is.
    IntoTheOneInUse,
}

impl WithSchedule {
    fn new() -> Self {
        let zero = || [AtomicU32::new(0), AtomicU32::new(0)];
        Self { board: Board::new(), schedules: Arc::new([zero(), zero()]) }
    }

    /// Publishes a table for each of `rebuilds`; a table says which schedule it goes by: buffer << 8 | content.
    fn write(&self, rebuilds: &[bool], place: Place) {
        let (mut buffer, mut content) = (0_u32, 0_u32);
        for (k, rebuild) in (0..).zip(rebuilds) {
            if *rebuild {
                buffer ^= u32::from(!matches!(place, Place::IntoTheOneInUse));
                content = k + 1;
            }
            let build = || {
                if *rebuild {
                    self.schedules[buffer as usize].iter().for_each(|word| word.store(content, Relaxed));
                }
            };
            if matches!(place, Place::BeforeTheMark) {
                build();
            }
            state_word::write::<Sound>(&self.board.state, k, |table| {
                if !matches!(place, Place::BeforeTheMark) {
                    build();
                }
                self.board.tables[table as usize][0].store(buffer << 8 | content, Relaxed);
            });
        }
    }

    fn check(&self) {
        let read = state_word::try_read::<Sound, _>(&self.board.state, |table| {
            let named = self.board.tables[table as usize][0].load(Relaxed);
            let schedule = &self.schedules[(named >> 8 & 1) as usize];
            (named & 0xFF, schedule[0].load(Relaxed), schedule[1].load(Relaxed))
        });
        if let Some((named, first, second)) = read {
            assert!(first == named && second == named, "torn schedule: {named} {first} {second}");
        }
    }
}

fn scheduled(rebuilds: &'static [bool], place: Place) {
    let shared = WithSchedule::new();
    let writer = WithSchedule { board: shared.board.clone(), schedules: shared.schedules.clone() };
    let thread = thread::spawn(move || writer.write(rebuilds, place));
    shared.check();
    thread.join().unwrap();
}

#[test]
fn a_schedule_is_whole_whichever_tables_rebuild_it() {
    for rebuilds in [&[true, false, true], &[true, true, true], &[false, true, true]] {
        holds(PREEMPTIONS, move || scheduled(rebuilds, Place::Inside));
    }
}

#[test]
fn needs_the_schedule_written_behind_the_start_mark() {
    breaks("torn schedule", || scheduled(&[true, true, true], Place::BeforeTheMark));
}

#[test]
fn a_new_controller_must_spare_the_schedule_in_use() {
    breaks("torn schedule", || scheduled(&[true], Place::IntoTheOneInUse));
}
