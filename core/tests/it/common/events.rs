//! Events with any number of columns, and the collected output of a pipeline: for stages whose rows
//! are events.

use stream_processor_core::{
    Batch, Column, Engine, Error, KeyColumn, Options, PipelineSpec, Progress, Pushed, RowColumn,
    Rows, Stats, key,
};

/// An event. A pipeline may read fewer columns than the event has values.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Event time in milliseconds.
    pub ts: i64,
    pub key: String,
    pub values: Vec<f64>,
}

impl Event {
    pub fn new(ts: i64, key: &str, values: &[f64]) -> Self {
        Self { ts, key: key.to_owned(), values: values.to_vec() }
    }
}

/// A way to split the stream into batches and to interrupt it. No choice may change a row.
#[derive(Debug, Clone, Copy)]
pub struct Run {
    /// Number of events in a batch.
    pub cut: usize,
    /// True if the engine is restored from a snapshot after every batch and whenever it is full.
    pub restore: bool,
}

/// A value of a row, compared bit by bit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cell {
    Time(i64),
    Number(u64),
    Bool(bool),
}

/// All rows in the order in which they were polled.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Collected {
    pub firing: Vec<i64>,
    pub ranks: Vec<u64>,
    /// Encoded keys.
    pub keys: Vec<Vec<u8>>,
    pub rows: Vec<Vec<Cell>>,
    /// The names of the columns of `rows`.
    pub columns: Vec<String>,
}

impl Collected {
    fn take(&mut self, rows: &Rows<'_>) {
        self.firing.extend(rows.firing);
        self.ranks.extend(rows.ranks);
        for row in 0..rows.len() {
            self.keys.push(rows.key(row).to_vec());
            let cell = |column: &RowColumn<'_>| match column {
                RowColumn::Time(times) => Cell::Time(times[row]),
                RowColumn::Number(numbers) => Cell::Number(super::bits(numbers[row])),
                RowColumn::Bool(bools) => Cell::Bool(bools[row] != 0),
                _ => unreachable!(),
            };
            self.rows.push(rows.columns.iter().map(cell).collect());
        }
    }

    /// Polls until no row waits, and appends the rows.
    pub fn poll(&mut self, engine: &mut Engine) {
        let columns = engine.plan().output.columns.iter();
        self.columns = columns.map(|column| column.name.clone()).collect();
        while let Some(rows) = engine.poll(7) {
            self.take(&rows);
        }
    }
}

impl Collected {
    /// Returns the cells of the column `name`.
    #[track_caller]
    pub fn column(&self, name: &str) -> Vec<Cell> {
        let place = self.columns.iter().position(|known| known == name);
        let place = place.unwrap_or_else(|| panic!("no column {name}: {:?}", self.columns));
        self.rows.iter().map(|row| row[place]).collect()
    }

    /// Returns the times in the column `name`, in microseconds.
    #[track_caller]
    pub fn times(&self, name: &str) -> Vec<i64> {
        let time = |cell| match cell {
            Cell::Time(time) => time,
            other => panic!("{name} is no time: {other:?}"),
        };
        self.column(name).into_iter().map(time).collect()
    }

    /// Returns the numbers in the column `name`.
    #[track_caller]
    pub fn numbers(&self, name: &str) -> Vec<f64> {
        let number = |cell| match cell {
            Cell::Number(bits) => f64::from_bits(bits),
            other => panic!("{name} is no number: {other:?}"),
        };
        self.column(name).into_iter().map(number).collect()
    }

    /// Returns the rows without the columns `names`.
    pub fn without(&self, names: &[&str]) -> Vec<Vec<Cell>> {
        let is_kept = |(name, _): &(&String, &Cell)| !names.contains(&name.as_str());
        let cells = |row: &Vec<Cell>| {
            self.columns.iter().zip(row).filter(is_kept).map(|(_, cell)| *cell).collect()
        };
        self.rows.iter().map(cells).collect()
    }
}

/// Returns the cell that holds `value`.
pub fn number(value: f64) -> Cell {
    Cell::Number(super::bits(value))
}

/// Runs `events` through the pipeline to the end and returns all rows.
pub fn collect(spec: &PipelineSpec, events: &[Event], run: Run) -> Collected {
    let (all, _, refused) = collect_refusing(spec, events, run);
    assert!(refused.is_empty(), "refused: {refused:?}");
    all
}

/// Does the same as [`collect`] for pipelines whose limits refuse events of the first stage. The
/// caller continues behind each refused event. Also returns the counters before the end of input
/// and the positions of the refused events.
pub fn collect_refusing(
    spec: &PipelineSpec,
    events: &[Event],
    run: Run,
) -> (Collected, Stats, Vec<usize>) {
    let mut engine = Engine::open(spec, Options::default()).unwrap();
    let (mut all, mut refused) = (Collected::default(), Vec::new());
    for (batch_number, batch) in events.chunks(run.cut).enumerate() {
        let mut at = 0;
        loop {
            let pushed = match try_push(&mut engine, &batch[at..]) {
                Ok(pushed) => pushed,
                Err(Error::LimitReached(stop)) => {
                    assert!(!stop.dropped);
                    refused.push(batch_number * run.cut + at + stop.consumed);
                    assert_eq!(stop.ordinal, engine.next_ordinal());
                    at += stop.consumed + 1;
                    if run.restore {
                        engine = restored(spec, &mut engine);
                    }
                    continue;
                }
                Err(error) => panic!("{error}"),
            };
            at += pushed.consumed;
            if run.restore {
                engine = restored(spec, &mut engine);
            }
            if !pushed.full {
                break;
            }
            all.poll(&mut engine);
        }
    }
    let stats = engine.stats();
    while engine.finish().unwrap() == Progress::Full {
        if run.restore {
            engine = restored(spec, &mut engine);
        }
        all.poll(&mut engine);
    }
    all.poll(&mut engine);
    (all, stats, refused)
}

/// Pushes one batch, as far as the engine accepts it.
pub fn push(engine: &mut Engine, events: &[Event]) -> Pushed {
    try_push(engine, events).unwrap()
}

/// Does the same as [`push`], and returns the error if an event is refused.
pub fn try_push(engine: &mut Engine, events: &[Event]) -> Result<Pushed, Error> {
    let input = &engine.plan().input;
    let (keyed, columns) = (!input.key.is_empty(), input.columns.len());
    let timestamps: Vec<i64> = events.iter().map(|event| event.ts * 1_000).collect();
    let (mut offsets, mut bytes) = (vec![0], Vec::new());
    for event in events {
        key::push_str(&mut bytes, &event.key);
        offsets.push(u32::try_from(bytes.len()).unwrap());
    }
    let values: Vec<Vec<f64>> = (0..columns)
        .map(|column| events.iter().map(|event| event.values[column]).collect())
        .collect();
    let columns: Vec<Column<'_>> = values.iter().map(|values| Column::F64(values)).collect();
    let encoded = KeyColumn::Encoded { offsets: &offsets, bytes: &bytes };
    let batch = Batch {
        timestamps: &timestamps,
        keys: if keyed { encoded } else { KeyColumn::Unkeyed },
        columns: &columns,
        identities: &[],
        ordinals: None,
        watermarks: None,
        partitions: None,
    };
    engine.push(&batch)
}

/// Returns an engine restored from a snapshot of `engine`.
pub fn restored(spec: &PipelineSpec, engine: &mut Engine) -> Engine {
    let snapshot = engine.snapshot().unwrap();
    let mut restored = Engine::restore(spec, engine.options(), &snapshot).unwrap();
    assert_eq!(restored.snapshot().unwrap(), snapshot, "equal state, equal bytes");
    assert_eq!(restored.stats(), engine.stats());
    restored
}
