#![cfg_attr(fuzzing, no_main)]
evener_fuzz::program!(lint_target);
