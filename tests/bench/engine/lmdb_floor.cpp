#include <algorithm>
#include <lmdb.h>
#include <memory>

#include "tests/bench/engine/floors.hpp"

namespace dkv::bench {

namespace {

constexpr std::size_t kMapBytes = std::size_t{1} << 40;  // address space, not disk
constexpr std::uint64_t kFillPerCommit = 100'000;

struct CloseEnvironment {
  void operator()(MDB_env* env) const { mdb_env_close(env); }
};

class Lmdb {
 public:
  Lmdb(const std::string& folder, const KeySpace& space) : space_(space), values_(1, space.value_bytes) {
    MDB_env* env = nullptr;
    check(mdb_env_create(&env));
    env_.reset(env);
    check(mdb_env_set_mapsize(env, kMapBytes));
    // As our own store does: reads are random.
    check(mdb_env_open(env, folder.c_str(), MDB_NORDAHEAD, 0640));
  }

  void fill() {
    for (std::uint64_t next = 0; ok() && next < space_.keys;) {
      const std::uint64_t end = std::min(space_.keys, next + kFillPerCommit);
      commit(MDB_APPEND, end - next, [&] { return next++; });
    }
  }

  void put(std::size_t batch) {
    commit(0, batch, [&] { return random_.below(space_.keys); });
  }

  bool ok() const { return code_ == 0; }
  Error error() const { return {Errc::io_error, std::string("LMDB: ") + mdb_strerror(code_)}; }

 private:
  /// One transaction; after the first failure nothing more is done.
  template <class Next>
  void commit(unsigned flags, std::uint64_t count, Next next) {
    MDB_txn* txn = nullptr;
    if (!check(mdb_txn_begin(env_.get(), nullptr, 0, &txn))) return;
    MDB_dbi records = 0;
    check(mdb_dbi_open(txn, nullptr, 0, &records));
    for (char bytes[kKeyBytes]; ok() && count > 0; --count) {
      write_key(bytes, next());
      const std::string_view text = values_.next();
      MDB_val key{kKeyBytes, bytes};
      MDB_val value{text.size(), const_cast<char*>(text.data())};
      check(mdb_put(txn, records, &key, &value, flags));
    }
    if (!ok()) return mdb_txn_abort(txn);
    check(mdb_txn_commit(txn));
  }

  bool check(int code) {
    if (code_ == 0) code_ = code;
    return ok();
  }

  KeySpace space_;
  Random random_{2};
  Values values_;
  std::unique_ptr<MDB_env, CloseEnvironment> env_;
  int code_ = 0;
};

}  // namespace

Result<Outcome> run_lmdb(const std::string& folder, const KeySpace& space, std::size_t batch,
                         double seconds) {
  Lmdb lmdb(folder, space);
  lmdb.fill();
  const Outcome outcome = measure_batches(folder, batch, seconds, [&] {
    lmdb.put(batch);
    return lmdb.ok();
  });
  if (!lmdb.ok()) return lmdb.error();
  return outcome;
}

}  // namespace dkv::bench
