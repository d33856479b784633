//! All integration tests, one binary.
#![allow(
    clippy::disallowed_methods,
    reason = "the harness passes parts of its own environment on"
)]

mod harness;

mod alias;
mod auth_git;
mod auth_interop;
mod auth_issuer;
mod auth_keyring;
mod auth_login;
mod auth_renew;
mod auth_status;
mod auth_terminal;
mod cache_crash;
mod cache_delete;
mod cache_doctor;
mod cache_doctor_race;
mod cache_doctor_waste;
mod cache_freed;
mod cache_in_use;
mod cache_ls;
mod cache_made_up;
mod cache_model;
mod cache_odd;
mod cache_pins;
mod cache_prune;
mod cache_rm;
mod cache_rm_race;
mod cache_table;
mod cache_users;
mod cache_verify;
mod cli_basics;
mod completion;
mod console_terminal;
mod door;
mod download_basic;
mod download_crash;
mod download_crowd;
mod download_damage;
mod download_errors;
mod download_hostile;
mod download_listing;
mod download_local_dir;
mod download_malformed;
mod download_manners;
mod download_moved;
mod download_names;
mod download_odd_disks;
mod download_odd_servers;
mod download_resume;
mod download_shared;
mod download_shared_faults;
mod download_torture;
mod download_trouble;
mod download_xet;
mod env_report;
mod foreign_bytes;
mod harness_self;
mod help;
mod hub_answers;
mod hub_faults;
mod hub_fidelity;
mod hub_mirror;
mod hub_proxy;
mod hub_wire;
mod imports;
mod interop;
mod layers;
mod legacy;
mod limits;
mod parity;
mod readme;
mod scripts;
mod signals;
