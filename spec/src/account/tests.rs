//! The home copy explored to a depth, and logins at two servers under random schedules with lost requests and answers.

mod home;
mod schedule;
