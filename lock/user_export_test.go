package lock

// UserIn finds a user in a file like /etc/passwd.
var UserIn = userIn
