// Who wants to know of a key: all whose prefix it begins with. A look-up costs one probe for each length that
// any prefix has, however many prefixes there are, so that those that match nothing cost next to nothing.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace dkv {

struct Follower;

class PrefixIndex {
 public:
  void add(const std::string& prefix, Follower* follower);
  /// It has been added with this prefix.
  void remove(const std::string& prefix, Follower* follower);
  /// Calls `visit` with each, once for each of its prefixes that match, in an order that equal histories of
  /// the index make equal.
  template <class Visit>
  void visit(std::string_view key, const Visit& visit) const {
    for (const auto& [length, count] : lengths_) {
      if (length > key.size()) return;
      const auto found = followers_.find(key.substr(0, length));
      if (found == followers_.end()) continue;
      for (Follower* follower : found->second) visit(follower);
    }
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const;
  };

  std::unordered_map<std::string, std::vector<Follower*>, Hash, std::equal_to<>> followers_;
  std::map<std::size_t, std::size_t> lengths_;  // of prefixes in there: how many have it
};

}  // namespace dkv
