-- Names and addresses are compared in one form of Unicode: `Directory::open` folds them again where this is NULL.
UPDATE users SET display_name_folded = NULL;
