//! Every form in which a report, a comparison, an answer of a gate, a search or a diagnosis is printed. Pure: values go in, text
//! comes out. What is true was decided in `brimful-judge`; nothing is judged here.

mod page;
mod rows;
mod style;
mod table;
mod told;

pub mod text;

pub mod forms;
pub mod html;

pub mod compare;
pub mod doctor;
pub mod gate;
pub mod knee;

#[cfg(test)]
mod tests;
