//! Writing back, through the whole service, to real databases: what is asked for under one key is done once, whatever
//! happens meanwhile.

mod crash;
mod gates;
mod keys;
mod live;
mod site;
mod steps;
