#include "actors/shard/store_check.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <xxhash.h>

#include "actors/shard/lmdb_pages.hpp"
#include "actors/shard/store_format.hpp"

namespace dkv {

namespace {

constexpr const char* kFile = "data.mdb";

/// A sum over what is the same in "records" and in "expiry", in whatever order.
using Digest = std::uint64_t;
Digest digest_of(std::string_view expiry) { return XXH3_64bits(expiry.data(), expiry.size()); }

void check_record(std::string_view key, const LmdbPages::Value& value, Digest& expiries,
                  StoreSurvey& survey) {
  const auto record = decode_record(key, value.bytes);
  if (!record) return survey.problems.add({kFile, value.offset, record.error().message});
  if (record->expires_ms != 0) expiries += digest_of(encode_expiry(record->expires_ms, key));
  ++survey.records;
  survey.bytes += key.size() + value.bytes.size() - kRecordHeaderBytes;
}

/// An entry of "meta", and where it stands.
struct Entry {
  std::string bytes;
  std::uint64_t offset = 0;
};
using Entries = std::map<std::string, Entry, std::less<>>;

std::optional<ShardId> decode_shard(const std::string& text) {
  std::uint32_t number = 0;
  const char* const end = text.data() + text.size();
  const auto [stopped, failure] = std::from_chars(text.data(), end, number);
  if (failure != std::errc{} || stopped != end) return std::nullopt;
  return ShardId{number};
}

/// What the store says of itself.
void read_description(const Entries& entries, StoreSurvey& survey) {
  const auto refuse = [&](const Entry& entry, const std::string& what) {
    survey.problems.add({kFile, entry.offset, what});
  };
  const auto format = entries.find("format");
  if (format == entries.end()) {
    return survey.problems.add({kFile, std::nullopt, "the store does not say what its format is"});
  }
  survey.format = format->second.bytes;
  if (survey.format != kStoreFormat) {
    return refuse(format->second, "the store's format is '" + survey.format + "', this program reads '" +
                                      std::string(kStoreFormat) +
                                      "': if no other version wrote it, it is damaged");
  }
  for (const auto& [name, entry] : entries) {
    if (name == "shard") {
      survey.shard = decode_shard(entry.bytes);
      if (!survey.shard) refuse(entry, "the shard's number is damaged");
    } else if (name == "applied") {
      survey.applied = decode_position(entry.bytes);
      if (!survey.applied) refuse(entry, "the position of the checkpoint is damaged");
    } else if (name == "reached") {
      survey.reached = decode_position(entry.bytes);
      if (!survey.reached) refuse(entry, "the position of a checkpoint under way is damaged");
    } else if (name == "import") {
      survey.import = decode_import(entry.bytes);
      if (!survey.import) refuse(entry, "how far the copy had come is damaged");
    } else if (name != "format") {
      refuse(entry, "an entry of the store's description has a name that is none");
    }
  }
}

void check_file(const File& file, const CheckProgress& progress, StoreSurvey& survey) {
  LmdbPages pages(file, kFile, survey.problems, progress);
  if (!pages.open()) return;
  std::map<std::string, LmdbPages::Tree, std::less<>> trees;
  pages.walk_names([&](std::string_view key, const LmdbPages::Value& value) {
    if (const auto tree = pages.tree_in(value)) trees.emplace(key, *tree);
  });
  // Of a start that died before its first transaction.
  const bool is_blank = survey.problems.count == 0 && trees.empty();
  for (const char* name : {"records", "meta"}) {
    if (is_blank || survey.problems.count > 0 || trees.contains(name)) continue;
    survey.problems.add({kFile, std::nullopt, std::string("the database '") + name + "' is missing"});
  }
  Entries entries;
  Digest of_records = 0;
  Digest of_expiry = 0;
  for (const auto& [name, tree] : trees) {
    const auto visit = [&, &name = name](std::string_view key, const LmdbPages::Value& value) {
      if (name == "records") return check_record(key, value, of_records, survey);
      if (name == "expiry") {
        of_expiry += digest_of(key);
        return;
      }
      entries[std::string(key)] = {std::string(value.bytes), value.offset};
    };
    pages.walk(tree, "the database '" + name + "'", visit);
  }
  pages.walk_free();
  if (survey.problems.count == 0 && of_records != of_expiry) {
    survey.problems.add({kFile, std::nullopt,
                         "'expiry' does not say when the records expire: some will stay, or go too early"});
  }
  if (trees.contains("meta")) read_description(entries, survey);
  // Where nothing is damaged and it does not say, there has been no checkpoint.
  if (survey.problems.count == 0 && !survey.applied) survey.applied = Position{};
}

}  // namespace

Result<StoreSurvey> check_store(Disk& folder, const CheckProgress& progress) {
  StoreSurvey survey;
  const auto names = folder.list();
  if (!names) return names.error();
  const bool is_there = std::find(names->begin(), names->end(), kFile) != names->end();
  survey.applied = Position{};
  if (!is_there) return survey;
  const auto file = folder.open(kFile, false);
  if (!file) return file.error();
  survey.file_bytes = (*file)->size();
  survey.exists = survey.file_bytes > 0;  // LMDB makes an empty file first
  if (!survey.exists) return survey;
  survey.applied.reset();
  check_file(**file, progress, survey);
  return survey;
}

}  // namespace dkv
