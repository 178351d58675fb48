# The daemon's footing: workers, deadlines, log lines, durable files.
volcrypt_test(NAME unit_runtime_worker TIER unit SOURCES runtime_worker.cpp LIBS volcrypt_runtime)
volcrypt_test(NAME unit_runtime_files TIER unit SOURCES runtime_files.cpp LIBS volcrypt_runtime)
