#![cfg_attr(fuzzing, no_main)]
evener_fuzz::program!(list_file);
