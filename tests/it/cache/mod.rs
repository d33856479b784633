//! What lists, checks and deletes the cache.

mod crash;
mod delete;
mod doctor;
mod doctor_keeps;
mod doctor_race;
mod doctor_relink;
mod doctor_store;
mod doctor_waste;
mod freed;
mod in_use;
mod ls;
mod made_up;
mod model;
mod narrow;
mod odd;
mod pins;
mod prune;
mod rm;
mod rm_race;
pub mod table;
mod unfinished;
pub mod users;
mod verify;
