#include "actors/watch/prefix_index.hpp"

#include <algorithm>
#include <xxhash.h>

#include "messages/result.hpp"

namespace dkv {

std::size_t PrefixIndex::Hash::operator()(std::string_view text) const {
  return XXH3_64bits(text.data(), text.size());
}

void PrefixIndex::add(const std::string& prefix, Follower* follower) {
  const auto [place, is_new] = followers_.try_emplace(prefix);
  if (is_new) ++lengths_[prefix.size()];
  place->second.push_back(follower);
}

void PrefixIndex::remove(const std::string& prefix, Follower* follower) {
  const auto place = followers_.find(prefix);
  DKV_ASSERT(place != followers_.end());
  const auto one = std::find(place->second.begin(), place->second.end(), follower);
  DKV_ASSERT(one != place->second.end());
  place->second.erase(one);
  if (!place->second.empty()) return;
  followers_.erase(place);
  const auto length = lengths_.find(prefix.size());
  if (--length->second == 0) lengths_.erase(length);
}

}  // namespace dkv
