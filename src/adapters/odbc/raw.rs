//! The calls that the safe part of odbc-api has not got: cancelling from another thread, the name of a column's type,
//! the next result of a statement without columns, parameters that come back, indexes; and the way out of a process whose
//! driver does not come back. It is the only place of the program with `unsafe` in it; each use says why it is sound.
#![allow(unsafe_code)]

use odbc_api::handles::SqlResult;
use odbc_api::handles::{AsStatementRef, HasDataType, SqlText, Statement, StatementRef};
use odbc_api::parameter::{InputParameter, VarBinaryBox, VarCharBox, VarWCharBox, WithDataType};
use odbc_api::sys::{
    Desc, HStmt, Lock, Operation, ParamType, Pointer, SQLCancel, SQLColAttribute, SQLSetPos, SqlReturn,
};
use odbc_api::{CursorImpl, DataType, Error, ParameterCollectionRef};

/// A statement, as the thread that may cancel it knows it.
pub(super) struct Cancellable(HStmt);

// SAFETY: the handle is a number to whoever holds it; the only use that is made of it is `SQLCancel`, the one function of
// ODBC that may be called from another thread while a function runs on the same statement (ODBC Programmer's Reference,
// "Canceling Functions that Execute on Another Thread").
unsafe impl Send for Cancellable {}

impl Cancellable {
    /// Of a statement. It may be used only as long as the statement lives: [`super::control::Control`] holds that.
    pub(super) fn of(statement: &mut impl AsStatementRef) -> Cancellable {
        Cancellable(statement.as_stmt_ref().as_sys())
    }

    /// Asks the driver to end what runs on the statement.
    pub(super) fn cancel(&self) -> bool {
        // SAFETY: the statement is alive: `Control` hands out this value only under the lock under which the owner of the
        // statement takes it back before the statement is freed. Nothing is passed but the handle.
        let result = unsafe { SQLCancel(self.0) };
        matches!(result, SqlReturn::SUCCESS | SqlReturn::SUCCESS_WITH_INFO)
    }
}

/// Ends the process without the exit handlers of its libraries, which would free what a thread in a driver still uses.
pub(super) fn end_process(code: u8) -> ! {
    // SAFETY: `_exit` takes any number, has no preconditions, and does not return.
    unsafe { libc::_exit(code.into()) }
}

/// The name of a result column's type in the database's own words, as bytes of the narrow encoding.
pub(super) fn type_name(statement: &mut StatementRef<'_>, column: u16) -> Option<Vec<u8>> {
    let mut buffer = [0u8; 256];
    let mut length = 0i16;
    // SAFETY: the statement is alive while it is borrowed. The buffer is valid for writing as many bytes as are told, and
    // lives until the call is over, as does the length; the driver keeps neither. No number is asked for.
    let result = unsafe {
        SQLColAttribute(
            statement.as_sys(),
            column,
            Desc::TypeName,
            buffer.as_mut_ptr() as Pointer,
            buffer.len() as i16,
            &mut length,
            std::ptr::null_mut(),
        )
    };
    if !matches!(result, SqlReturn::SUCCESS | SqlReturn::SUCCESS_WITH_INFO) {
        return None;
    }
    // Drivers tell lengths of their own making: the first zero counts.
    let end = buffer.iter().position(|byte| *byte == 0).unwrap_or(buffer.len());
    Some(buffer.get(..end).unwrap_or_default().to_vec())
}

/// Goes on to the next result of a statement to which nothing is bound. False after the last.
pub(super) fn more_results(statement: &mut StatementRef<'_>) -> Result<bool, Error> {
    // What is bound to columns would be written into by the next fetch, whatever shape the next result has.
    statement.unbind_cols().into_result(statement)?;
    // SAFETY: no column is bound, as of the line before; so no buffer can be written to.
    let result = unsafe { statement.more_results() };
    result.into_result_bool(statement)
}

/// The result that a statement stands at, if it has columns.
pub(super) fn cursor<'s>(mut statement: StatementRef<'s>) -> Result<Option<CursorImpl<StatementRef<'s>>>, Error> {
    if statement.num_result_cols().into_result(&statement)? == 0 {
        return Ok(None);
    }
    // SAFETY: a statement whose result has columns is in a state in which rows can be fetched.
    Ok(Some(unsafe { CursorImpl::new(statement) }))
}

/// Executes a statement that has no parameters on one that has no result any more.
pub(super) fn again(mut statement: StatementRef<'_>, sql: &str) -> Result<(), Error> {
    statement.unbind_cols().into_result(&statement)?;
    statement.reset_parameters().into_result(&statement)?;
    // SAFETY: as of the lines before nothing is bound, neither columns nor parameters: no buffer is read or written. The text
    // outlives the call.
    let result = unsafe { statement.exec_direct(&SqlText::new(sql)) };
    result.into_result_bool(&statement).map(drop)
}

/// Goes to a row of the block that was fetched last, counted from 0, so that its values can be read one by one.
pub(super) fn go_to(statement: &mut StatementRef<'_>, row: usize) -> Result<(), Error> {
    // SAFETY: the statement is borrowed and alive, and its cursor stands at a block. Only a position is set: no buffer is
    // read or written.
    let result = unsafe { SQLSetPos(statement.as_sys(), (row + 1) as _, Operation::POSITION, Lock::NO_CHANGE) };
    match result {
        SqlReturn::SUCCESS | SqlReturn::SUCCESS_WITH_INFO => Ok(()),
        _ => SqlResult::Error { function: "SQLSetPos" }.into_result(statement),
    }
}

/// Asks for the indexes of a table (`SQLStatistics`), all of them, as they are known without looking.
pub(super) fn statistics<'s>(
    statement: StatementRef<'s>,
    catalog: Option<&str>,
    schema: Option<&str>,
    table: &str,
) -> Result<Option<CursorImpl<StatementRef<'s>>>, Error> {
    #[link(name = "odbc")]
    unsafe extern "system" {
        fn SQLStatistics(
            statement: HStmt,
            catalog: *const u8,
            catalog_length: i16,
            schema: *const u8,
            schema_length: i16,
            table: *const u8,
            table_length: i16,
            unique: u16,
            reserved: u16,
        ) -> SqlReturn;
    }
    const ALL: u16 = 1;
    const QUICK: u16 = 0;
    let part = |name: Option<&str>| {
        let name = name.map(|name| (name.as_ptr(), i16::try_from(name.len()).unwrap_or(i16::MAX)));
        name.unwrap_or((std::ptr::null(), 0))
    };
    let ((catalog, c), (schema, s), (table, t)) = (part(catalog), part(schema), part(Some(table)));
    // SAFETY: every text is passed with its length in bytes (a longer one than an i16 can say is cut) and outlives the
    // call; the driver copies what it keeps. The statement is borrowed, alive, and has no open result.
    let result = unsafe { SQLStatistics(statement.as_sys(), catalog, c, schema, s, table, t, ALL, QUICK) };
    if !matches!(result, SqlReturn::SUCCESS | SqlReturn::SUCCESS_WITH_INFO) {
        // The statement has the reason, which the next question to it tells.
        return SqlResult::<()>::Error { function: "SQLStatistics" }.into_result(&statement).map(|()| None);
    }
    cursor(statement)
}

/// What is bound to one placeholder.
pub(super) enum Argument {
    /// It goes in.
    In(Box<dyn InputParameter>),
    /// Text that goes in, comes out, or both.
    Text(ParamType, WithDataType<VarCharBox>),
    /// The same in UTF-16.
    Wide(ParamType, WithDataType<VarWCharBox>),
    /// The same of bytes.
    Bytes(ParamType, WithDataType<VarBinaryBox>),
}

/// What is bound to all placeholders, in their order.
pub(super) struct Arguments(pub(super) Vec<Argument>);

// SAFETY: `bind_parameters_to` binds exactly what the vector holds. Each value lives in a box whose address does not move,
// and the collection is borrowed mutably until the statement is executed, so that what is bound outlives the execution;
// the statement resets its parameters before others are bound. Values that go in are complete: each was made from a whole
// value. One set of parameters is bound.
unsafe impl ParameterCollectionRef for &mut Arguments {
    fn parameter_set_size(&self) -> usize {
        1
    }

    unsafe fn bind_parameters_to(&mut self, statement: &mut impl Statement) -> Result<(), Error> {
        for (index, argument) in self.0.iter_mut().enumerate() {
            let number = u16::try_from(index + 1).unwrap_or(u16::MAX);
            // SAFETY: see above.
            let result = unsafe {
                match argument {
                    Argument::In(value) => statement.bind_input_parameter(number, value),
                    Argument::Text(way, value) => statement.bind_parameter(number, *way, &mut Out(value)),
                    Argument::Wide(way, value) => statement.bind_parameter(number, *way, &mut Out(value)),
                    Argument::Bytes(way, value) => statement.bind_parameter(number, *way, &mut Out(value)),
                }
            };
            result.into_result(statement)?;
        }
        Ok(())
    }
}

/// A value of several types that is bound by where it is.
struct Out<'a, T>(&'a mut T);

impl<T: HasDataType> HasDataType for Out<'_, T> {
    fn data_type(&self) -> DataType {
        self.0.data_type()
    }
}

// SAFETY: all is passed on to the value itself, whose implementation keeps the contract.
unsafe impl<T: odbc_api::handles::CData> odbc_api::handles::CData for Out<'_, T> {
    fn cdata_type(&self) -> odbc_api::sys::CDataType {
        self.0.cdata_type()
    }

    fn indicator_ptr(&self) -> *const isize {
        self.0.indicator_ptr()
    }

    fn value_ptr(&self) -> *const std::ffi::c_void {
        self.0.value_ptr()
    }

    fn buffer_length(&self) -> isize {
        self.0.buffer_length()
    }
}

// SAFETY: as above.
unsafe impl<T: odbc_api::handles::CDataMut> odbc_api::handles::CDataMut for Out<'_, T> {
    fn mut_indicator_ptr(&mut self) -> *mut isize {
        self.0.mut_indicator_ptr()
    }

    fn mut_value_ptr(&mut self) -> *mut std::ffi::c_void {
        self.0.mut_value_ptr()
    }
}
