//! Reports, comparisons, gates, searches and diagnoses of made-up runs, as people read them.

mod advice;
mod compare;
mod doctor;
mod forms;
mod gate;
mod html;
mod knee;
mod report;
mod schema;
