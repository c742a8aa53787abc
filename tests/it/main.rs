//! Black-box tests of the binary: one module per capability or fault, in the operator's verbs (`support`).

mod action_center;
mod action_center_post;
mod addresses;
mod answers;
mod api;
mod audit;
mod bounces;
mod crash;
mod disk_full;
mod dkim;
mod doctor;
mod doors;
mod explain;
mod health;
mod import;
mod intake_http;
mod kill;
mod links;
mod listener;
mod lists;
mod rejected;
mod relay;
mod rules;
mod serve;
mod smtp_client;
mod support;
