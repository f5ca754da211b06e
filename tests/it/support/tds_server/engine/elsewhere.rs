//! Statements about another database of the server (`other.dbo.table`): they are done there, in a session of its own. One that
//! names tables of both is an error: nothing of ours joins them.

use std::sync::Arc;

use super::{Engine, Stop};
use crate::support::tds_server::Shared;
use crate::support::tds_server::sql::lexer::Token;
use crate::support::tds_server::sql::parser::Facts;

impl Engine {
    /// The other database that the statement names which begins these tokens.
    pub(super) fn elsewhere(&self, tokens: &[Token]) -> Option<Arc<Shared>> {
        let end = tokens.iter().position(|token| *token == Token::Sign(";")).unwrap_or(tokens.len());
        let point = |at: usize| tokens.get(at) == Some(&Token::Sign("."));
        let first_of_name = |at: &usize| point(at + 1) && (*at == 0 || !point(at - 1));
        (0..end).filter(first_of_name).find_map(|at| match &tokens[at] {
            Token::Word(name) | Token::Name(name) => self.shared.beside(name),
            _ => None,
        })
    }

    /// Does something there, under the options that the session has here.
    pub(super) fn there<T>(
        &mut self,
        shared: Arc<Shared>,
        work: impl FnOnce(&mut Engine) -> Result<T, Stop>,
    ) -> Result<T, Stop> {
        let name = shared.settings.database.clone();
        let mut there = match self.others.remove(&name) {
            Some(there) => there,
            None => {
                let facts = Facts { database: name.clone(), ..self.facts.clone() };
                Box::new(Engine::new(shared, facts, Arc::clone(&self.control))?)
            }
        };
        there.options.clone_from(&self.options);
        there.tries = self.tries;
        self.control.interrupts(there.connection.get_interrupt_handle());
        let done = work(&mut there);
        self.control.interrupts(self.connection.get_interrupt_handle());
        self.others.insert(name, there);
        done
    }
}
