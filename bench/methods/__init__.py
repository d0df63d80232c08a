"""The built-in methods, one a file: the file's name is the method's, with _ for +."""
