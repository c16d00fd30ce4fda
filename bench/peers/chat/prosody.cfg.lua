-- Prosody with rooms that are archived in PostgreSQL. Limits and presence messages are off, as far as they would cost it time.
interfaces = { "127.0.0.1" }
c2s_ports = { @PORT@ }
s2s_ports = { }
data_path = "@FOLDER@"
run_as_root = true
log = { error = "*console" }
modules_enabled = { "saslauth"; "disco" }
modules_disabled = { "s2s"; "tls"; "offline" }
authentication = "anonymous"
c2s_require_encryption = false
storage = "sql"
sql = { driver = "PostgreSQL"; database = "@DATABASE@"; username = "natter"; host = "127.0.0.1"; port = @DATABASE_PORT@ }

VirtualHost "localhost"

Component "conference.localhost" "muc"
modules_enabled = { "muc_mam" }
muc_log_by_default = true
muc_room_locking = false
muc_room_default_persistent = true
muc_room_default_presence_broadcast = { visitor = false; participant = false; moderator = true }
muc_room_default_history_length = 0
