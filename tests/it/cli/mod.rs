//! The command line: grammar, help, completion, both names of the program, output for people and scripts.

mod alias;
mod basics;
mod completion;
mod completion_install;
mod documents;
mod env;
mod help;
mod installed;
mod legacy;
mod ls;
mod mistakes;
mod names;
mod others;
mod readme;
mod scripts;
mod strings;
mod terminal;
