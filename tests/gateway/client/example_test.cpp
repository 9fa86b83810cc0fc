// The example of gateway/client: it is built, it works, and the README shows it as it is.
#include <cstdio>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>

#include "tests/gateway/client/fake_node.hpp"

namespace dkv::test {
namespace {

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(ClientExample, StoresAValueAndReadsItBack) {
  FakeNode node;
  node.set_topology(topology_of({&node}));
  std::FILE* const program = ::popen((CLIENT_EXAMPLE " " + node.endpoint()).c_str(), "r");
  ASSERT_NE(program, nullptr);
  std::string said(64, '\0');
  said.resize(std::fread(said.data(), 1, said.size(), program));
  EXPECT_EQ(::pclose(program), 0);
  EXPECT_EQ(said, "Delhi\n");
  EXPECT_EQ(node.requests(), 2);
}

TEST(ClientExample, StandsInTheReadmeAsItIs) {
  const std::string example = read(CLIENT_FOLDER "/example.cpp");
  ASSERT_FALSE(example.empty());
  EXPECT_NE(read(CLIENT_FOLDER "/README.md").find("```cpp\n" + example + "```\n"), std::string::npos);
}

}  // namespace
}  // namespace dkv::test
