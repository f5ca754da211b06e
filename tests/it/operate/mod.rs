//! Writing back, through the whole service, to real databases: what is asked for under one key is done once, whatever
//! happens meanwhile.

mod afterwards;
mod audit;
mod backends;
mod bodies;
mod bounds;
mod bulk;
mod commit;
mod conditions;
mod crash;
mod described;
mod gates;
mod keys;
mod killed;
mod live;
mod live_columns;
mod live_lists;
mod meanwhile;
mod retention;
mod sharers;
mod sight;
mod site;
mod spelling;
mod steps;
mod upgraded;
mod versions;
mod ways;

pub(crate) use site::{bytes, new_key};
