# The pure part of agent/volumes and the daemon's configuration.
volcrypt_test(NAME volumes_unit TIER unit
              SOURCES volumes_policy.cpp volumes_owner.cpp volumes_drives.cpp volumes_groups.cpp volumes_local_copy.cpp volumes_config.cpp volumes_locks.cpp volumes_shared_look.cpp
              LIBS volcrypt_volumes volcrypt_agent)
