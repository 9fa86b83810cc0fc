#include <cstdio>
#include <unistd.h>

#include "gateway/cli/commands.hpp"
#include "gateway/json_bytes.hpp"
#include "messages/limits.hpp"

namespace dkv::cli {

namespace {

Json answer_about(const std::string& key) {
  Json json;
  set_bytes(json, "key", key);
  return json;
}

/// A missing key is an answer, which JSON gives in its own words.
int report_missing(const std::string& key, bool json, const char* field) {
  if (json) {
    Json answer = answer_about(key);
    answer[field] = false;
    print(answer);
  } else {
    std::fprintf(stderr, "distrikv: no such key\n");
  }
  return kNotFound;
}

/// Of a change to a record that must be there: `field` says whether it was.
template <class Changed>
int report_change(const Result<Changed>& changed, const Options& options, const std::string& key,
                  const char* field) {
  if (!changed && changed.error().code == Errc::not_found) return report_missing(key, options.json, field);
  if (!changed) return report(changed.error(), options.json);
  if (options.json) {
    Json answer = answer_about(key);
    answer[field] = true;
    answer["version"] = to_string(changed->version);
    print(answer);
  }
  return kOk;
}

}  // namespace

int get(const Options& options, const std::string& key, bool from_replica) {
  const ReadMode read = from_replica ? ReadMode::replica : ReadMode::linearizable;
  return with_call(options, read, [&](Client& client, const CallOptions& call) {
    const auto got = client.get(key, call);
    if (!got && got.error().code == Errc::not_found) return report_missing(key, options.json, "found");
    if (!got) return report(got.error(), options.json);
    if (options.json) {
      Json answer = answer_about(key);
      answer["found"] = true;
      set_bytes(answer, "value", got->value);
      answer["version"] = to_string(got->version);
      if (got->ttl_ms != 0) answer["ttl_ms"] = got->ttl_ms;
      print(answer);
      return kOk;
    }
    std::fwrite(got->value.data(), 1, got->value.size(), stdout);
    // Scripts get the bytes and nothing else.
    if (isatty(STDOUT_FILENO) != 0) std::fputc('\n', stdout);
    return kOk;
  });
}

int set(const Options& options, const std::string& key, const std::string& value, const Condition& condition,
        const Ttl& ttl) {
  // Before there is a client, whose first socket would be stdin where that was closed.
  const Result<std::string> bytes = value == "-" ? read_stdin(kMaxValueBytes) : value;
  if (!bytes) return report(bytes.error(), options.json);
  return with_call(options, {}, [&](Client& client, const CallOptions& call) {
    const auto put = client.put(key, *bytes, condition, ttl, call);
    if (!put) return report(put.error(), options.json);
    if (options.json) {
      Json answer = answer_about(key);
      answer["created"] = put->created;
      answer["version"] = to_string(put->version);
      print(answer);
    }
    return kOk;
  });
}

int del(const Options& options, const std::string& key, const Condition& condition) {
  return with_call(options, {}, [&](Client& client, const CallOptions& call) {
    return report_change(client.remove(key, condition, call), options, key, "deleted");
  });
}

int show_ttl(const Options& options, const std::string& key) {
  return with_client(options, [&](Client& client) {
    const auto got = client.get(key);
    if (!got && got.error().code == Errc::not_found) return report_missing(key, options.json, "found");
    if (!got) return report(got.error(), options.json);
    if (options.json) {
      Json answer = answer_about(key);
      answer["found"] = true;
      if (got->ttl_ms != 0) answer["ttl_ms"] = got->ttl_ms;
      print(answer);
    } else if (got->ttl_ms == 0) {
      std::puts("forever");
    } else {
      std::printf("%llums\n", static_cast<unsigned long long>(got->ttl_ms));
    }
    return kOk;
  });
}

int touch(const Options& options, const std::string& key, const Ttl& ttl) {
  return with_call(options, {}, [&](Client& client, const CallOptions& call) {
    return report_change(client.touch(key, ttl, call), options, key, "touched");
  });
}

int incr(const Options& options, const std::string& key, std::int64_t amount) {
  return with_call(options, {}, [&](Client& client, const CallOptions& call) {
    const auto counted = client.increment(key, amount, call);
    if (!counted) return report(counted.error(), options.json);
    if (options.json) {
      Json answer = answer_about(key);
      answer["number"] = counted->number;
      answer["version"] = to_string(counted->version);
      print(answer);
    } else {
      std::printf("%lld\n", static_cast<long long>(counted->number));
    }
    return kOk;
  });
}

}  // namespace dkv::cli
