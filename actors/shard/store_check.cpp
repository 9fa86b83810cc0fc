#include "actors/shard/store_check.hpp"

#include <algorithm>
#include <charconv>
#include <map>

#include "actors/shard/lmdb_pages.hpp"
#include "actors/shard/store_format.hpp"

namespace dkv {

namespace {

constexpr const char* kFile = "data.mdb";

void check_record(std::string_view key, const LmdbPages::Value& value, StoreSurvey& survey) {
  if (auto record = decode_record(key, value.bytes); !record) {
    return survey.problems.add({kFile, value.offset, record.error().message});
  }
  ++survey.records;
  survey.bytes += key.size() + value.bytes.size() - kRecordHeaderBytes;
}

void take_description(std::string_view key, const LmdbPages::Value& value, StoreSurvey& survey) {
  const auto refuse = [&](const char* what) { survey.problems.add({kFile, value.offset, what}); };
  if (key == "format") {
    survey.format = value.bytes;
    if (survey.format != kStoreFormat) {
      refuse("the store's format is not of this version of the program, or damaged");
    }
  } else if (key == "shard") {
    std::uint32_t number = 0;
    const char* const end = value.bytes.data() + value.bytes.size();
    const auto [stopped, failure] = std::from_chars(value.bytes.data(), end, number);
    if (failure != std::errc{} || stopped != end) return refuse("the shard's number is damaged");
    survey.shard = ShardId{number};
  } else if (key == "applied") {
    survey.applied = decode_position(value.bytes);
    if (!survey.applied) refuse("the position of the checkpoint is damaged");
  } else if (key == "reached") {
    survey.reached = decode_position(value.bytes);
    if (!survey.reached) refuse("the position of a checkpoint under way is damaged");
  } else if (key == "import") {
    survey.import = decode_import(value.bytes);
    if (!survey.import) refuse("how far the copy had come is damaged");
  } else {
    refuse("an entry of the store's description has a name that is none");
  }
}

void check_file(const File& file, const CheckProgress& progress, StoreSurvey& survey) {
  LmdbPages pages(file, kFile, survey.problems, progress);
  if (!pages.open()) return;
  std::map<std::string, LmdbPages::Tree, std::less<>> trees;
  const std::uint64_t before = survey.problems.count;
  pages.walk_names([&](std::string_view key, const LmdbPages::Value& value) {
    if (const auto tree = pages.tree_in(value)) trees.emplace(key, *tree);
  });
  const bool names_are_whole = survey.problems.count == before;
  for (const auto& [name, tree] : trees) {
    pages.walk(tree, "the database '" + name + "'",
               [&, is_records = name == "records"](std::string_view key, const LmdbPages::Value& value) {
                 is_records ? check_record(key, value, survey) : take_description(key, value, survey);
               });
  }
  pages.walk_free();
  // The first start makes both at once, with the description.
  if (names_are_whole && !trees.empty() && (!trees.contains("records") || survey.format.empty())) {
    survey.problems.add({kFile, std::nullopt, "the store's own description is missing"});
  }
  if (survey.problems.count == 0 && !survey.applied) survey.applied = Position{};  // no checkpoint yet
}

}  // namespace

Result<StoreSurvey> check_store(Disk& folder, const CheckProgress& progress) {
  StoreSurvey survey;
  const auto names = folder.list();
  if (!names) return names.error();
  const bool is_there = std::find(names->begin(), names->end(), kFile) != names->end();
  if (!is_there) {
    survey.applied = Position{};
    return survey;
  }
  const auto file = folder.open(kFile, false);
  if (!file) return file.error();
  survey.file_bytes = (*file)->size();
  survey.exists = survey.file_bytes > 0;
  if (survey.exists) {
    check_file(**file, progress, survey);
  } else {
    survey.applied = Position{};  // LMDB makes an empty file first
  }
  return survey;
}

}  // namespace dkv
