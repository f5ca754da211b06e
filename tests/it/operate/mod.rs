//! Writing back, through the whole service, to real databases: what is asked for under one key is done once, whatever
//! happens meanwhile.

mod afterwards;
mod backends;
mod bounds;
mod bulk;
mod commit;
mod conditions;
mod crash;
mod gates;
mod keys;
mod killed;
mod live;
mod meanwhile;
mod site;
mod steps;
mod versions;

pub(crate) use site::new_key;
