// What `distrikv check` knows of a store: reads all of it, without LMDB (see lmdb_pages.hpp).
#pragma once

#include <optional>
#include <string>

#include "actors/runtime/disk.hpp"
#include "actors/runtime/import.hpp"
#include "actors/shard/survey.hpp"
#include "messages/ids.hpp"

namespace dkv {

struct StoreSurvey {
  bool exists = false;              // else there has been no checkpoint, nor a start that got so far
  std::string format;               // as it says itself
  std::optional<ShardId> shard;     // whose it says it is
  std::optional<Position> applied;  // nothing: it cannot be read
  std::optional<Position> reached;  // a checkpoint that was cut short wrote events up to here
  std::optional<Import> import;     // a copy of the whole shard that is not complete yet
  std::uint64_t records = 0;        // that are as they were written
  std::uint64_t bytes = 0;          // of their keys and values
  std::uint64_t file_bytes = 0;
  Problems problems;
};

/// Checks every page and every record of the store in `folder`, of which nothing is changed. Past a damaged
/// page it goes on with the next. Errors: io_error, the folder cannot be listed or the file not be opened.
Result<StoreSurvey> check_store(Disk& folder, const CheckProgress& progress);

}  // namespace dkv
