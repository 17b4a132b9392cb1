#![cfg_attr(fuzzing, no_main)]
evener_fuzz::program!(service_config);
