#include "core/content.h"

#include <gtest/gtest.h>
#include <string>
#include <string_view>

namespace assay {
namespace {

using namespace std::string_literals;

std::string name_of(std::string_view bytes) {
    return std::string(recognise(std::as_bytes(std::span(bytes))).name);
}

bool has(const std::string& name, std::string_view part) { return name.find(part) != std::string::npos; }

TEST(Content, NamesWhatDownloadsBecome) {
    EXPECT_TRUE(has(name_of("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n"),
                    "Git LFS pointer"));
    for (const std::string page :
         {"<!doctype html><html>", "<!DOCTYPE HTML>\n", "\n  <html lang=en>", "\xef\xbb\xbf<HTML>"})
        EXPECT_EQ(name_of(page), "a web page") << page;
    EXPECT_EQ(name_of("<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code>"), "an XML document");
    EXPECT_EQ(name_of("{\"error\": \"not found\"}"), "JSON text");
    EXPECT_EQ(name_of(""), "an empty file");
    EXPECT_TRUE(has(name_of(std::string(9000, '\0')), "zeros"));
}

TEST(Content, NamesArchivesAndOtherModels) {
    EXPECT_TRUE(has(name_of("PK\3\4" + std::string(60, '\0')), "ZIP archive"));
    EXPECT_TRUE(has(name_of("\x1f\x8b\x08" + std::string(20, '\0')), "gzip"));
    EXPECT_TRUE(has(name_of("\xfd"
                            "7zXZ\0\0"s),
                    "xz"));
    std::string tar(512, '\0');
    tar.replace(0, 7, "m.gguf\0"s).replace(257, 5, "ustar");
    EXPECT_EQ(name_of(tar), "a tar archive");
    EXPECT_EQ(name_of("\2\0\0\0\0\0\0\0{}"s), "a safetensors file");
    EXPECT_TRUE(has(name_of("tjgg\3\0\0\0"s), "before GGUF"));
}

TEST(Content, NamesTextInOtherCodings) {
    EXPECT_EQ(name_of("\xff\xfeh\0i\0"s), "UTF-16 text");
    EXPECT_EQ(name_of("\xfe\xff\0h\0i"s), "UTF-16 text");
    EXPECT_EQ(name_of("h\0e\0l\0l\0o\0"s), "UTF-16 text");
    EXPECT_EQ(name_of("\0h\0e\0l\0l\0o"s), "UTF-16 text");
    EXPECT_EQ(name_of("\xff\xfe\0\0h\0\0\0"s), "UTF-32 text");
}

TEST(Content, TellsTextFromBytes) {
    EXPECT_EQ(name_of("plain words\n"), "a text");
    std::string long_text = "x";  // the last character seen is cut
    while (long_text.size() < 9000) long_text += "\xe6\xbc\xa2";
    EXPECT_EQ(name_of(long_text), "a text");
    EXPECT_EQ(name_of("\1\0\0\0\x13\0\0\0blk.0.attn_q.weight"s), "");
    EXPECT_EQ(name_of("word\xff"), "");
}

TEST(Content, OnlyTextMayBeMeantAsText) {
    const auto is_text = [](std::string_view bytes) {
        return recognise(std::as_bytes(std::span(bytes))).is_text;
    };
    EXPECT_TRUE(is_text("<html>"));
    EXPECT_TRUE(is_text("words"));
    EXPECT_FALSE(is_text("version https://git-lfs.github.com/spec/v1\n"));
    EXPECT_FALSE(is_text("h\0e\0l\0l\0o\0"s));
    EXPECT_FALSE(is_text("GGUF\3"));
}

}  // namespace
}  // namespace assay
