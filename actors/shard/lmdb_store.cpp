#include "actors/shard/lmdb_store.hpp"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstring>
#include <lmdb.h>
#include <sys/statvfs.h>

#include "actors/shard/store_format.hpp"
#include "messages/limits.hpp"

namespace dkv {

namespace {

constexpr std::size_t kMapBytes = std::size_t{1} << 40;  // address space, not disk
constexpr unsigned kNamedDatabases = 8;
// A disk with less room than one write of LMDB takes at most.
constexpr std::uint64_t kFullDiskBytes = std::uint64_t{1} << 20;
// What a record dirties at least.
constexpr std::size_t kPageBytes = 4096;

MDB_val to_val(std::string_view bytes) { return {bytes.size(), const_cast<char*>(bytes.data())}; }
std::string_view to_view(const MDB_val& val) { return {static_cast<const char*>(val.mv_data), val.mv_size}; }

Error failure(const std::string& what, int code) {
  // Either means that there is no room.
  const Errc errc =
      code == ENOSPC || code == EDQUOT || code == MDB_MAP_FULL ? Errc::disk_full : Errc::io_error;
  return {errc, "store: " + what + ": " + mdb_strerror(code)};
}

/// A transaction that is aborted unless committed.
class Transaction {
 public:
  Transaction(MDB_env* env, unsigned flags) : code_(mdb_txn_begin(env, nullptr, flags, &txn_)) {}
  ~Transaction() {
    if (txn_ != nullptr) mdb_txn_abort(txn_);
  }
  Transaction(const Transaction&) = delete;
  Transaction& operator=(const Transaction&) = delete;
  int code() const { return code_; }
  MDB_txn* get() const { return txn_; }
  int commit() { return mdb_txn_commit(std::exchange(txn_, nullptr)); }

 private:
  MDB_txn* txn_ = nullptr;
  int code_;
};

/// A place in a database. Keys in order are found from the page of the one before, without going down the
/// tree. Must be gone before its transaction is committed.
class Cursor {
 public:
  Cursor(MDB_txn* txn, MDB_dbi database) : code_(mdb_cursor_open(txn, database, &cursor_)) {}
  ~Cursor() {
    if (cursor_ != nullptr) mdb_cursor_close(cursor_);
  }
  Cursor(const Cursor&) = delete;
  Cursor& operator=(const Cursor&) = delete;
  int code() const { return code_; }
  MDB_cursor* get() const { return cursor_; }

 private:
  MDB_cursor* cursor_ = nullptr;
  int code_;
};

}  // namespace

struct LmdbStore::Environment {
  MDB_env* env = nullptr;
  MDB_dbi records = 0;
  MDB_dbi expiry = 0;
  MDB_dbi meta = 0;
  MDB_txn* reader = nullptr;  // cached; reset between batches
  bool reader_live = false;
  std::atomic<std::uint64_t> applied_epoch{0};
  std::atomic<std::uint64_t> applied_seq{0};
  std::optional<Import> import;  // the writer's
  Position reached;              // likewise

  Position applied() const { return {Epoch{applied_epoch}, Seq{applied_seq}}; }
  void set_applied(Position position) {
    applied_epoch = position.epoch.value;
    applied_seq = position.seq.value;
    reached = std::max(reached, position);
  }

  ~Environment() {
    if (reader != nullptr) mdb_txn_abort(reader);
    if (env != nullptr) mdb_env_close(env);
  }

  /// The cached read transaction, made live.
  Result<MDB_txn*> read() {
    if (reader_live) return reader;
    const int code =
        reader == nullptr ? mdb_txn_begin(env, nullptr, MDB_RDONLY, &reader) : mdb_txn_renew(reader);
    if (code != 0) return failure("cannot begin reading", code);
    reader_live = true;
    return reader;
  }

  Error write_failure(const std::string& what, int code) const;
  Error misread(std::string_view stored, const Error& error) const;
  Result<void> open_databases(ShardId shard);
  Result<void> check_meta(MDB_txn* txn, ShardId shard);
  Result<void> write_some(MDB_txn* txn, Memtable::Cursor& at, std::size_t bytes) const;
  Result<void> write_all(MDB_txn* txn, const std::vector<RecordView>& all) const;
  int put_position(MDB_txn* txn, std::string_view name, Position position) const;
  Result<void> commit(Transaction& txn, Position new_applied, std::optional<Import> new_import);
};

/// Writes records, best in their order, and keeps "expiry" true. Must be gone before its transaction is
/// committed.
class LmdbStore::RecordWriter {
 public:
  RecordWriter(MDB_txn* txn, const Environment& environment)
      : txn_(txn), expiry_(environment.expiry), records_(txn, environment.records), code_(records_.code()) {
    MDB_stat about{};
    if (code_ == 0) code_ = mdb_stat(txn, expiry_, &about);
    any_expire_ = about.ms_entries > 0;
  }
  int code() const { return code_; }

  int put(const RecordView& record) {
    if (const int code = forget_expiry(record.key); code != 0) return code;
    MDB_val key = to_val(record.key);
    MDB_val value{kRecordHeaderBytes + record.value.size(), nullptr};
    if (const int code = mdb_cursor_put(records_.get(), &key, &value, MDB_RESERVE); code != 0) return code;
    auto* const bytes = static_cast<char*>(value.mv_data);
    fill_record_header(bytes, record);
    std::memcpy(bytes + kRecordHeaderBytes, record.value.data(), record.value.size());
    if (record.expires_ms == 0) return 0;
    any_expire_ = true;
    const std::string expiry = encode_expiry(record.expires_ms, record.key);
    MDB_val name = to_val(expiry);
    MDB_val nothing{};
    return mdb_put(txn_, expiry_, &name, &nothing, 0);
  }

  int remove(std::string_view key_bytes) {
    if (const int code = forget_expiry(key_bytes); code != 0) return code;
    MDB_val key = to_val(key_bytes);
    const int code = mdb_cursor_get(records_.get(), &key, nullptr, MDB_SET);
    if (code != 0) return code == MDB_NOTFOUND ? 0 : code;
    return mdb_cursor_del(records_.get(), 0);
  }

 private:
  /// Of the key's present record. Where none expires nothing is looked up.
  int forget_expiry(std::string_view key_bytes) {
    if (!any_expire_) return 0;
    MDB_val key = to_val(key_bytes);
    MDB_val value;
    const int found = mdb_cursor_get(records_.get(), &key, &value, MDB_SET_KEY);
    if (found != 0) return found == MDB_NOTFOUND ? 0 : found;
    const std::uint64_t expires_ms = head_in(to_view(value)).expires_ms;
    if (expires_ms == 0) return 0;
    const std::string expiry = encode_expiry(expires_ms, key_bytes);
    MDB_val name = to_val(expiry);
    const int code = mdb_del(txn_, expiry_, &name, nullptr);
    return code == MDB_NOTFOUND ? 0 : code;
  }

  MDB_txn* txn_;
  MDB_dbi expiry_;
  Cursor records_;
  int code_;
  bool any_expire_ = false;
};

/// LMDB reports a write that a full disk cut short as EIO.
Error LmdbStore::Environment::write_failure(const std::string& what, int code) const {
  const char* path = nullptr;
  struct statvfs about {};
  const bool known = mdb_env_get_path(env, &path) == 0 && ::statvfs(path, &about) == 0;
  const bool is_full = known && std::uint64_t{about.f_bavail} * about.f_frsize < kFullDiskBytes;
  return failure(what, code == EIO && is_full ? ENOSPC : code);
}

/// Says where in the file it is. LMDB does not tell where it has mapped that (me_mapaddr is null), but a page
/// begins with its number, and a value, or its beginning, is in one page.
Error LmdbStore::Environment::misread(std::string_view stored, const Error& error) const {
  MDB_stat about{};
  mdb_env_stat(env, &about);
  const auto address = reinterpret_cast<std::uintptr_t>(stored.data());
  const std::uintptr_t in_page = address % about.ms_psize;
  std::uint64_t page = 0;
  std::memcpy(&page, reinterpret_cast<const void*>(address - in_page), sizeof page);
  return {error.code, "store: data.mdb at offset " + std::to_string(page * about.ms_psize + in_page) + ": " +
                          error.message};
}

Result<void> LmdbStore::Environment::check_meta(MDB_txn* txn, ShardId shard) {
  const auto lookup = [&](std::string_view name, std::string_view& out) {
    MDB_val key = to_val(name);
    MDB_val value;
    const int code = mdb_get(txn, meta, &key, &value);
    if (code == 0) out = to_view(value);
    return code;
  };
  const auto insert = [&](std::string_view name, std::string_view bytes) {
    MDB_val key = to_val(name);
    MDB_val value = to_val(bytes);
    return mdb_put(txn, meta, &key, &value, 0);
  };
  const std::string own_shard = std::to_string(shard.value);
  std::string_view found;
  int code = lookup("format", found);
  if (code == MDB_NOTFOUND) {
    code = insert("format", kStoreFormat);
    if (code == 0) code = insert("shard", own_shard);
    if (code != 0) return failure("cannot write its description", code);
    return {};
  }
  if (code != 0) return failure("cannot read its description", code);
  if (found != kStoreFormat) {
    return Error{Errc::wrong_version, "store: its format is version " + std::string(found) +
                                          ", this program reads version " + std::string(kStoreFormat)};
  }
  if (lookup("shard", found) != 0 || found != own_shard) {
    return Error{Errc::in_use,
                 "store: it belongs to shard number " + std::string(found) + ", not " + own_shard};
  }
  const Error unreadable{Errc::corrupt, "store: its applied position is not readable"};
  if (lookup("applied", found) == 0) {
    const auto position = decode_position(found);
    if (!position) return unreadable;
    set_applied(*position);
  }
  if (lookup("reached", found) == 0) {
    const auto position = decode_position(found);
    if (!position) return unreadable;
    reached = std::max(reached, *position);
  }
  if (lookup("import", found) == 0) {
    import = decode_import(found);
    if (!import) return Error{Errc::corrupt, "store: how far it has been filled is not readable"};
  }
  return {};
}

Result<void> LmdbStore::Environment::open_databases(ShardId shard) {
  Transaction txn(env, 0);
  if (txn.code() != 0) return failure("cannot begin writing", txn.code());
  int code = mdb_dbi_open(txn.get(), "records", MDB_CREATE, &records);
  if (code == 0) code = mdb_dbi_open(txn.get(), "expiry", MDB_CREATE, &expiry);
  if (code == 0) code = mdb_dbi_open(txn.get(), "meta", MDB_CREATE, &meta);
  if (code != 0) return failure("cannot open its databases", code);
  if (auto checked = check_meta(txn.get(), shard); !checked) return checked;
  code = txn.commit();
  if (code != 0) return failure("cannot commit", code);
  return {};
}

LmdbStore::LmdbStore(std::unique_ptr<Environment> environment, LmdbOptions options)
    : environment_(std::move(environment)), options_(options) {}
LmdbStore::~LmdbStore() = default;

Result<std::unique_ptr<LmdbStore>> LmdbStore::open(const std::string& path, ShardId shard,
                                                   LmdbOptions options) {
  auto environment = std::make_unique<Environment>();
  int code = mdb_env_create(&environment->env);
  if (code == 0) code = mdb_env_set_mapsize(environment->env, kMapBytes);
  if (code == 0) code = mdb_env_set_maxdbs(environment->env, kNamedDatabases);
  // NOTLS: a read transaction belongs to its object, not to the thread. NORDAHEAD: reads are random.
  if (code == 0) code = mdb_env_open(environment->env, path.c_str(), MDB_NOTLS | MDB_NORDAHEAD, 0640);
  if (code != 0) return failure("cannot open " + path, code);
  // Slots of readers that died with an earlier process.
  mdb_reader_check(environment->env, nullptr);
  if (auto opened = environment->open_databases(shard); !opened) return opened.error();
  return std::unique_ptr<LmdbStore>(new LmdbStore(std::move(environment), options));
}

Result<std::optional<StoredRecord>> LmdbStore::get(std::string_view key, std::size_t most_bytes) {
  const auto stored = find(key);
  if (!stored) return stored.error();
  if (stored->data() == nullptr) return std::optional<StoredRecord>{};
  if (const std::size_t size = value_size(*stored); size > most_bytes)
    return std::optional(StoredRecord{head_in(*stored).version, size, {}, head_in(*stored).expires_ms});
  const auto record = decode_record(key, *stored);
  if (!record) return environment_->misread(*stored, record.error());
  return std::optional(StoredRecord::of(*record, most_bytes));
}

Result<std::optional<RecordHead>> LmdbStore::head_of(std::string_view key, Check check) {
  const auto stored = find(key);
  if (!stored) return stored.error();
  if (stored->data() == nullptr) return std::optional<RecordHead>{};
  if (check == Check::header) return std::optional(head_in(*stored));
  const auto record = decode_record(key, *stored);
  if (!record) return environment_->misread(*stored, record.error());
  return std::optional(RecordHead{record->version, record->expires_ms});
}

Result<std::string_view> LmdbStore::find(std::string_view key) {
  auto txn = environment_->read();
  if (!txn) return txn.error();
  MDB_val wanted = to_val(key);
  MDB_val found;
  const int code = mdb_get(*txn, environment_->records, &wanted, &found);
  if (code == MDB_NOTFOUND) return std::string_view{};
  if (code != 0) return failure("cannot read a record", code);
  return to_view(found);
}

void LmdbStore::end_batch() {
  if (!environment_->reader_live) return;
  mdb_txn_reset(environment_->reader);
  environment_->reader_live = false;
}

Result<void> LmdbStore::scan(std::string_view from, const Chooser& choose, const Visitor& visit) {
  return scan(from, from.empty() ? MDB_FIRST : MDB_SET_RANGE, MDB_NEXT, choose, visit);
}

Result<void> LmdbStore::scan_down(std::string_view before, const Chooser& choose, const Visitor& visit) {
  return scan(before, before.empty() ? MDB_LAST : MDB_SET_RANGE, MDB_PREV, choose, visit);
}

Result<void> LmdbStore::scan(std::string_view from, int first, int next, const Chooser& choose,
                             const Visitor& visit) {
  const auto position = [](int operation) { return static_cast<MDB_cursor_op>(operation); };
  Transaction txn(environment_->env, MDB_RDONLY);
  if (txn.code() != 0) return failure("cannot begin reading", txn.code());
  const Cursor cursor(txn.get(), environment_->records);
  if (cursor.code() != 0) return failure("cannot open a cursor", cursor.code());
  MDB_val key = to_val(from);
  MDB_val value;
  int code = mdb_cursor_get(cursor.get(), &key, &value, position(first));
  // Downwards it stands on what is not before `from` any more, or behind the last record.
  const bool overshot = next == MDB_PREV && first == MDB_SET_RANGE && (code == 0 || code == MDB_NOTFOUND);
  if (overshot) code = mdb_cursor_get(cursor.get(), &key, &value, code == 0 ? MDB_PREV : MDB_LAST);
  while (code == 0) {
    const Step step = choose(to_view(key));
    if (step == Step::stop) return {};
    if (step == Step::show) {
      const auto record = decode_record(to_view(key), to_view(value));
      if (!record) return environment_->misread(to_view(value), record.error());
      if (!visit(*record)) return {};
    }
    code = mdb_cursor_get(cursor.get(), &key, &value, position(next));
  }
  if (code != MDB_NOTFOUND) return failure("cannot scan", code);
  return {};
}

Position LmdbStore::applied() const { return environment_->applied(); }
Position LmdbStore::reached() const { return environment_->reached; }

Result<void> LmdbStore::scan_expiries(const Expiry& after, const ExpiryVisitor& visit) {
  const auto txn = environment_->read();
  if (!txn) return txn.error();
  const Cursor cursor(*txn, environment_->expiry);
  if (cursor.code() != 0) return failure("cannot open a cursor", cursor.code());
  const std::string last = encode_expiry(after.at_ms, after.key);
  MDB_val key = to_val(last);
  int code = mdb_cursor_get(cursor.get(), &key, nullptr, MDB_SET_RANGE);
  if (code == 0 && to_view(key) == last) code = mdb_cursor_get(cursor.get(), &key, nullptr, MDB_NEXT);
  for (; code == 0; code = mdb_cursor_get(cursor.get(), &key, nullptr, MDB_NEXT)) {
    const auto at_ms = expiry_in(to_view(key));
    if (at_ms && !visit(*at_ms, to_view(key).substr(kExpiryBytes))) return {};
  }
  if (code != MDB_NOTFOUND) return failure("cannot scan", code);
  return {};
}

int LmdbStore::Environment::put_position(MDB_txn* txn, std::string_view name_bytes, Position position) const {
  const std::string bytes = encode_position(position);
  MDB_val name = to_val(name_bytes);
  MDB_val value = to_val(bytes);
  return mdb_put(txn, meta, &name, &value, 0);
}

/// Ends a transaction of the writer: what it leaves in "meta" is what is remembered here.
Result<void> LmdbStore::Environment::commit(Transaction& txn, Position new_applied,
                                            std::optional<Import> new_import) {
  if (new_import && new_import->complete(new_applied)) new_import.reset();
  int code = put_position(txn.get(), "applied", new_applied);
  const std::string encoded = new_import ? encode_import(*new_import) : std::string{};
  MDB_val name = to_val("import");
  MDB_val value = to_val(encoded);
  if (code == 0 && new_import) code = mdb_put(txn.get(), meta, &name, &value, 0);
  if (code == 0 && !new_import && import) code = mdb_del(txn.get(), meta, &name, nullptr);
  if (code == 0) code = txn.commit();
  if (code != 0) return write_failure("cannot commit", code);
  set_applied(new_applied);
  import = std::move(new_import);
  return {};
}

/// Writes records until so many bytes are dirty.
Result<void> LmdbStore::Environment::write_some(MDB_txn* txn, Memtable::Cursor& at, std::size_t bytes) const {
  RecordWriter writer(txn, *this);
  if (writer.code() != 0) return failure("cannot open a cursor", writer.code());
  for (std::size_t dirty = 0; !at.at_end() && dirty < bytes; at.next()) {
    const Record& record = at.record();
    const int code = record.removed ? writer.remove(at.key())
                                    : writer.put({at.key(), record.version, record.value, record.expires_ms});
    if (code != 0) return write_failure("cannot write a record", code);
    dirty += kPageBytes + record.value.size() + (record.expires_ms != 0 ? kPageBytes : 0);
  }
  return {};
}

Result<void> LmdbStore::Environment::write_all(MDB_txn* txn, const std::vector<RecordView>& all) const {
  RecordWriter writer(txn, *this);
  if (writer.code() != 0) return failure("cannot open a cursor", writer.code());
  for (const RecordView& record : all) {
    if (const int code = writer.put(record); code != 0) return write_failure("cannot write a record", code);
  }
  return {};
}

Result<void> LmdbStore::write(const Memtable& memtable, Position applied) {
  auto at = memtable.seek();
  do {
    Transaction txn(environment_->env, 0);
    if (txn.code() != 0) return failure("cannot begin writing", txn.code());
    if (auto written = environment_->write_some(txn.get(), at, options_.transaction_bytes); !written)
      return written;
    if (!at.at_end() && environment_->reached < applied) {
      if (const int code = environment_->put_position(txn.get(), "reached", applied); code != 0)
        return environment_->write_failure("cannot write a record", code);
    }
    const Position position = at.at_end() ? applied : this->applied();
    auto committed = environment_->commit(txn, position, environment_->import);
    if (!committed) return committed;
    environment_->reached = std::max(environment_->reached, applied);
  } while (!at.at_end());
  return {};
}

Result<void> LmdbStore::begin_import(Position at) {
  Transaction txn(environment_->env, 0);
  if (txn.code() != 0) return failure("cannot begin writing", txn.code());
  for (const MDB_dbi database : {environment_->records, environment_->expiry}) {
    if (const int code = mdb_drop(txn.get(), database, 0); code != 0)
      return environment_->write_failure("cannot be emptied", code);
  }
  if (const int code = environment_->put_position(txn.get(), "reached", at); code != 0) {
    return environment_->write_failure("cannot be emptied", code);
  }
  environment_->reached = at;
  return environment_->commit(txn, at, Import::starting_at(at));
}

Result<void> LmdbStore::import(const std::vector<RecordView>& records, std::string_view next_key,
                               Position at) {
  DKV_ASSERT(environment_->import && at >= applied());
  Transaction txn(environment_->env, 0);
  if (txn.code() != 0) return failure("cannot begin writing", txn.code());
  if (auto written = environment_->write_all(txn.get(), records); !written) return written;
  Import taken = *environment_->import;
  taken.add(records, next_key, at);
  return environment_->commit(txn, applied(), std::move(taken));
}

std::optional<Import> LmdbStore::importing() const { return environment_->import; }

}  // namespace dkv
