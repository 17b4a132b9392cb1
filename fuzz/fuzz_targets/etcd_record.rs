#![cfg_attr(fuzzing, no_main)]
evener_fuzz::program!(etcd_record);
