//! Accounts and logins (chapter *Login and logout*): the home server's copy of a profile, and the login at the local
//! server.
