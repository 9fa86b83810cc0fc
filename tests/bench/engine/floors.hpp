// What a disk gives without us: the same bytes by bare system calls, and by LMDB alone.
#pragma once

#include <string>

#include "tests/bench/engine/outcome.hpp"
#include "tests/bench/engine/pairs.hpp"

namespace dkv::bench {

/// Appends `batch` keys and values to a new file in the folder and calls fdatasync, over and over.
Result<Outcome> run_append(const std::string& folder, const KeySpace& space, std::size_t batch,
                           double seconds);

/// Random puts into LMDB with all the keys, each batch a transaction with full sync. Filling it is not
/// counted.
Result<Outcome> run_lmdb(const std::string& folder, const KeySpace& space, std::size_t batch, double seconds);

}  // namespace dkv::bench
