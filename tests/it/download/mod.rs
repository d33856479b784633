//! Downloads: what arrives where, with every fault of the server, the disk and other programs.

mod bars;
pub mod basic;
mod connections;
mod crash;
mod crowd;
mod damage;
pub mod errors;
mod faults;
mod from_file;
mod hints;
mod hostile;
mod journal;
mod listing;
mod local_dir;
mod malformed;
pub mod moved_branches;
mod names;
mod odd_disks;
mod odd_servers;
mod outcome;
mod resume;
pub mod shared;
mod shared_faults;
mod torture;
mod transfer;
mod xet;
mod xet_faults;
