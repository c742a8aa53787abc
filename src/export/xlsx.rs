//! Leads as a workbook (ISO/IEC 29500), for spreadsheets. Its rows lie in a temporary file until it is saved, so that memory does not grow with them.

use std::io::Write;

use rust_xlsxwriter::{Workbook, XlsxError};

use crate::export::{Cell, HEADER, Row};

/// Rows of a sheet at most, the header among them; what is more goes on on the next one.
const SHEET_ROWS_MAX: u32 = 1_048_576;
/// Characters of a cell at most; what is more is cut.
const CELL_CHARS_MAX: usize = 32_767;

/// A workbook that is being written.
pub struct Book {
    workbook: Workbook,
    n_sheets: usize,
    n_rows: u32,
}

impl Book {
    /// Begins a workbook with its header.
    ///
    /// # Errors
    /// The system's folder for temporary files cannot be written.
    pub fn new() -> Result<Self, XlsxError> {
        let mut book = Self {
            workbook: Workbook::new(),
            n_sheets: 0,
            n_rows: 0,
        };
        book.begin_sheet()?;
        Ok(book)
    }

    fn begin_sheet(&mut self) -> Result<(), XlsxError> {
        let sheet = self.workbook.add_worksheet_with_constant_memory()?;
        self.n_sheets += 1;
        sheet.set_name(if self.n_sheets == 1 {
            "Leads".to_owned()
        } else {
            format!("Leads {}", self.n_sheets)
        })?;
        sheet.set_freeze_panes(1, 0)?;
        for (column, name) in (0..).zip(HEADER) {
            sheet.write_string(0, column, name)?;
        }
        self.n_rows = 1;
        Ok(())
    }

    /// Writes a row. Texts are typed as such, so none of them is a formula.
    ///
    /// # Errors
    /// The temporary file cannot be written.
    pub fn push(&mut self, row: Row) -> Result<(), XlsxError> {
        if self.n_rows == SHEET_ROWS_MAX {
            self.begin_sheet()?;
        }
        let sheet = self.workbook.worksheet_from_index(self.n_sheets - 1)?;
        for (column, cell) in (0..).zip(row) {
            match cell {
                Cell::Text(text) if text.is_empty() => continue,
                Cell::Text(text) => sheet.write_string(self.n_rows, column, cut(text))?,
                Cell::Number(number) => sheet.write_number(self.n_rows, column, number)?,
            };
        }
        self.n_rows += 1;
        Ok(())
    }

    /// Writes the workbook out.
    ///
    /// # Errors
    /// It cannot be written there, or the temporary file not be read.
    pub fn save(mut self, to: impl Write + Send) -> Result<(), XlsxError> {
        self.workbook.save_to_writer(to)
    }
}

fn cut(text: String) -> String {
    match text.char_indices().nth(CELL_CHARS_MAX) {
        None => text,
        Some((end, _)) => text[..end].to_owned(),
    }
}
