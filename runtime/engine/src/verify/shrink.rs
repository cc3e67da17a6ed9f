//! The smallest input that still differs: fewer calls and rows by delta debugging, then the same row in place of others, then simpler
//! values.

use arrow_array::{ArrayRef, RecordBatch, RecordBatchOptions};
use tandem_core::sample::Cell;

use super::VerifyOptions;
use super::plan::{Machines, Plan, RowResult, taken};
use super::report::{Difference, Smallest};
use super::sample::{Sample, compute_alone};
use crate::error::EngineError;

/// A row of a call.
type Unit = (usize, usize);

/// What is being made smaller.
struct Shrink<'a> {
    machines: &'a Machines,
    plan: Plan,
    rows: RecordBatch,
    alone: Vec<RowResult>,
    tries: u64,
    tries_max: u64,
}

/// Shrinks a plan in which something differs.
pub(super) fn shrink(
    plan: Plan,
    machines: &Machines,
    sample: &Sample,
    options: &VerifyOptions,
) -> Result<Difference, EngineError> {
    let check = plan.check;
    let gone = || EngineError::Inputs("a difference did not show again: this machine computes at random".to_owned());
    let ran = plan.run(machines, &sample.inputs)?;
    let at = *ran.different(&sample.alone).first().ok_or_else(gone)?;
    let found = ran.mismatch(at, &sample.alone).ok_or_else(gone)?;
    let sample_row = plan.calls[at.0][at.1];

    // The calls behind it had no part in it; before it, only those of the same instance.
    let calls = if plan.used { plan.calls[..=at.0].to_vec() } else { vec![plan.calls[at.0].clone()] };
    let (rows, alone) = (sample.inputs.clone(), sample.alone.clone());
    let plan = Plan { calls, ..plan };
    let tries_max = options.shrink_tries_max;
    let mut shrink = Shrink { machines, plan, rows, alone, tries: 0, tries_max };
    shrink.fewer()?;
    shrink.keep_needed_rows()?;
    shrink.alike()?;
    shrink.simpler()?;
    shrink.fewer()?;

    let Shrink { plan, rows, alone, tries, .. } = shrink;
    let ran = plan.run(machines, &rows)?;
    let at = *ran.different(&alone).first().ok_or_else(gone)?;
    let smallest = Smallest {
        calls: plan.calls.iter().map(|call| taken(&rows, call)).collect::<Result<_, _>>()?,
        call: at.0,
        row: at.1,
        mismatch: ran.mismatch(at, &alone).ok_or_else(gone)?,
        tries,
        gave_up: tries >= tries_max,
    };
    let given = sample_row < sample.given;
    Ok(Difference::Row { check, sample_row, given, found, smallest: Box::new(smallest) })
}

impl Shrink<'_> {
    /// Whether these calls of these rows differ; no, once enough was tried.
    fn differs(
        &mut self,
        calls: Vec<Vec<usize>>,
        rows: &RecordBatch,
        alone: &[RowResult],
    ) -> Result<bool, EngineError> {
        if self.tries >= self.tries_max {
            return Ok(false);
        }
        self.tries += 1;
        let plan = Plan { calls, ..self.plan.clone() };
        Ok(!plan.run(self.machines, rows)?.different(alone).is_empty())
    }

    /// Fewer rows: delta debugging (Zeller and Hildebrandt, "Simplifying and isolating failure-inducing input", 2002), without the subsets
    /// that are no complements.
    fn fewer(&mut self) -> Result<(), EngineError> {
        let calls = self.plan.calls.iter().enumerate();
        let mut units: Vec<Unit> = calls.flat_map(|(call, rows)| rows.iter().map(move |row| (call, *row))).collect();
        let mut pieces = 2;
        while units.len() > 1 {
            pieces = pieces.min(units.len());
            let mut reduced = None;
            for piece in 0..pieces {
                let (from, to) = (piece * units.len() / pieces, (piece + 1) * units.len() / pieces);
                let rest = [&units[..from], &units[to..]].concat();
                let (rows, alone) = (self.rows.clone(), std::mem::take(&mut self.alone));
                let differs = self.differs(grouped(&rest), &rows, &alone);
                self.alone = alone;
                if differs? {
                    reduced = Some(rest);
                    break;
                }
            }
            match reduced {
                Some(rest) => {
                    units = rest;
                    pieces = (pieces - 1).max(2);
                }
                None if pieces < units.len() => pieces *= 2,
                None => break,
            }
        }
        self.plan.calls = grouped(&units);
        Ok(())
    }

    /// Keeps the rows that are still called for, each once.
    fn keep_needed_rows(&mut self) -> Result<(), EngineError> {
        let mut kept: Vec<usize> = self.plan.calls.concat();
        kept.sort_unstable();
        kept.dedup();
        self.rows = taken(&self.rows, &kept)?;
        self.alone = kept.iter().map(|row| self.alone[*row].clone()).collect();
        for row in self.plan.calls.iter_mut().flatten() {
            *row = kept.binary_search(row).expect("it was kept");
        }
        Ok(())
    }

    /// The same row in place of others.
    fn alike(&mut self) -> Result<(), EngineError> {
        for gone in (1..self.rows.num_rows()).rev() {
            for instead in 0..gone {
                let calls = self.plan.calls.iter();
                let replaced = |row: &usize| if *row == gone { instead } else { *row };
                let calls: Vec<Vec<usize>> = calls.map(|rows| rows.iter().map(replaced).collect()).collect();
                let (rows, alone) = (self.rows.clone(), self.alone.clone());
                if calls != self.plan.calls && self.differs(calls.clone(), &rows, &alone)? {
                    self.plan.calls = calls;
                    break;
                }
            }
        }
        self.keep_needed_rows()
    }

    /// Simpler values: a whole column at once, then value by value, as long as there is anything.
    fn simpler(&mut self) -> Result<(), EngineError> {
        let rows = self.rows.num_rows();
        let nullable: Vec<bool> = self.machines.main.signature().inputs.iter().map(|field| field.nullable).collect();
        for (column, nullable) in nullable.iter().enumerate() {
            let simplest: Vec<Cell> = (0..rows)
                .map(|row| {
                    let cell = Cell::of(self.rows.column(column), row);
                    cell.simpler(*nullable).into_iter().next().unwrap_or(cell)
                })
                .collect();
            self.accept(column, &simplest, None)?;
        }
        let mut changed = true;
        while changed {
            changed = false;
            for row in 0..rows {
                for (column, nullable) in nullable.iter().enumerate() {
                    while self.simpler_cell(row, column, *nullable)? {
                        changed = true;
                    }
                }
            }
        }
        Ok(())
    }

    fn simpler_cell(&mut self, row: usize, column: usize, nullable: bool) -> Result<bool, EngineError> {
        let mut cells: Vec<Cell> =
            (0..self.rows.num_rows()).map(|row| Cell::of(self.rows.column(column), row)).collect();
        for simpler in cells[row].simpler(nullable) {
            cells[row] = simpler;
            if self.accept(column, &cells, Some(row))? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Takes these values of a column if the rows still differ. `row` is the only one that changed, if there is only one.
    fn accept(&mut self, column: usize, cells: &[Cell], row: Option<usize>) -> Result<bool, EngineError> {
        if self.tries >= self.tries_max {
            return Ok(false);
        }
        let data_type = self.machines.main.signature().inputs[column].data_type;
        let mut columns: Vec<ArrayRef> = self.rows.columns().to_vec();
        columns[column] = Cell::column(data_type, cells);
        let options = RecordBatchOptions::new().with_row_count(Some(self.rows.num_rows()));
        let rows = RecordBatch::try_new_with_options(self.rows.schema(), columns, &options)
            .map_err(|error| EngineError::Arrow(error.to_string()))?;
        let mut alone = self.alone.clone();
        for changed in row.map_or(0..rows.num_rows(), |row| row..row + 1) {
            alone[changed] = compute_alone(&self.machines.main, &rows, changed)?;
        }
        let differs = self.differs(self.plan.calls.clone(), &rows, &alone)?;
        if differs {
            (self.rows, self.alone) = (rows, alone);
        }
        Ok(differs)
    }
}

/// Rows by their calls; calls without rows are gone.
fn grouped(units: &[Unit]) -> Vec<Vec<usize>> {
    units.chunk_by(|one, other| one.0 == other.0).map(|call| call.iter().map(|unit| unit.1).collect()).collect()
}
